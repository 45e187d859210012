import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import {
  Digester,
  digestAlgorithm,
  digestHex,
  digestOf,
  isDigest,
  parseDigest,
  smallDigestOf,
  verifyStream,
} from "./digest.ts";

const empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

async function* chunksOf(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function drain(source: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of source) text += Buffer.from(chunk).toString();
  return text;
}

test("the digest of nothing is the well-known one", () => {
  assert.equal(digestOf(""), empty);
  assert.equal(new Digester().digest(), empty);
});

test("a digest splits into its algorithm and its hex digits", () => {
  assert.equal(digestAlgorithm(digestOf("a")), "sha256");
  assert.equal(digestAlgorithm(digestOf("a", "sha512")), "sha512");
  assert.equal(digestHex(digestOf("a", "sha512")).length, 128);
});

test("anything but lower-case hex of the right length is refused", () => {
  const hex = "a".repeat(64);
  for (const text of [
    "",
    hex,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex}a`,
    `sha256:${hex.toUpperCase()}`,
    `sha512:${hex}`,
    `md5:${hex}`,
    `sha256:${hex}\n`,
    `sha256:../${hex.slice(3)}`,
  ])
    assert.throws(
      () => parseDigest(text),
      (error) => isGantryError(error, "invalid-argument"),
      text,
    );
});

test("what digestOf makes is a digest, whatever the bytes", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 500 }),
      (bytes) => isDigest(digestOf(bytes)) && isDigest(digestOf(bytes, "sha512")),
    ),
  );
});

test("verifyStream passes the bytes on and ends well when they are right, however they are cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string()), async (texts) => {
      const whole = texts.join("");
      const expected = { digest: digestOf(whole), size: Buffer.byteLength(whole) };
      assert.equal(await drain(verifyStream(chunksOf(...texts), expected, "blob")), whole);
    }),
  );
});

test("verifyStream tells wrong bytes at the end and too many at once", async () => {
  const expected = { digest: digestOf("right"), size: 5 };
  await assert.rejects(
    drain(verifyStream(chunksOf("wrong"), expected, "blob")),
    /verify blob "sha256:[0-9a-f]+": the content has digest sha256:/,
  );
  await assert.rejects(drain(verifyStream(chunksOf("rig"), expected, "blob")), /3 bytes, expected 5/);
  let passed = 0;
  await assert.rejects(async () => {
    for await (const chunk of verifyStream(chunksOf("right", "!", "never seen"), expected, "blob"))
      passed += chunk.length;
  }, /longer than the expected 5 bytes/);
  assert.equal(passed, 5);
});

test("a small document has the same digest, however it is hashed", async () => {
  for (const algorithm of ["sha256", "sha512"] as const)
    for (const bytes of ["", "löyer", Buffer.alloc(100_000, 7)])
      assert.equal(await smallDigestOf(bytes, algorithm), digestOf(bytes, algorithm));
});
