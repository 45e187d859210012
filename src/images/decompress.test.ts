import assert from "node:assert/strict";
import { Readable } from "node:stream";
import test from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { collect, sampleBytes } from "../content/contract.ts";
import { digestOf, verifyStream } from "../spec/digest.ts";
import { coalesce, decompress } from "./decompress.ts";

const bytes = sampleBytes(2_000_000);
const unpack = (source: AsyncIterable<Uint8Array>, compressedBytes = 1000) =>
  collect(decompress(source, { what: "layer", compressedBytes }));

async function* cut(whole: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}

for (const [kind, packed] of [
  ["gzip", gzipSync(bytes, { level: 1 })],
  ["zstd", zstdCompressSync(bytes)],
  ["none", bytes],
] as const)
  test(`${kind} comes out as it was, however it is cut`, async () => {
    for (const size of [1000, 65_536, 3_000_000])
      assert.ok((await unpack(cut(packed, size))).equals(bytes), String(size));
  });

test("several gzip members are one stream, and padding after them is ignored", async () => {
  const members = Buffer.concat([
    gzipSync(bytes.subarray(0, 5)),
    gzipSync(bytes.subarray(5, 9)),
    Buffer.alloc(600),
  ]);
  assert.deepEqual(await unpack(cut(members, 7)), bytes.subarray(0, 9));
});

test("a packed stream that ends early, or holds garbage, is data-loss", async () => {
  const isDataLoss = (error: unknown) => isGantryError(error, "data-loss");
  const expected = { digest: digestOf(bytes), size: bytes.length };
  // zstd frames need not have a checksum, and Bun 1.4 ends a truncated one without an error: the diffID tells
  const check = async (packed: Uint8Array) => {
    const layer = decompress(cut(packed, 50_000), { what: "layer", compressedBytes: 1000 });
    await assert.rejects(collect(verifyStream(layer, expected, "layer")), isDataLoss);
  };
  for (const packed of [gzipSync(bytes, { level: 1 }), zstdCompressSync(bytes)]) {
    await check(packed.subarray(0, packed.length / 2));
    const garbage = Buffer.from(packed);
    garbage.fill(0xff, 1000, 3000);
    await check(garbage);
  }
  await assert.rejects(unpack(cut(gzipSync(bytes).subarray(0, 9999), 500)), isDataLoss);
});

test("an error of the source comes through as it is", async () => {
  const source = async function* () {
    yield gzipSync(bytes, { level: 1 }).subarray(0, 300_000);
    throw new Error("the cable was pulled");
  };
  await assert.rejects(unpack(source()), /the cable was pulled/);
});

test("a reader that stops early closes the source", async () => {
  let closed = false;
  const source = async function* () {
    try {
      for (;;) yield gzipSync(bytes, { level: 1 });
    } finally {
      closed = true;
    }
  };
  for await (const chunk of decompress(source(), { what: "layer", compressedBytes: 1e9 })) {
    assert.ok(chunk.length > 0);
    break;
  }
  assert.ok(closed);
});

test("a slow reader holds the source back", async () => {
  let taken = 0;
  const source = async function* () {
    for (;;) {
      taken++;
      yield gzipSync(Buffer.alloc(4_000_000, taken), { level: 1 });
    }
  };
  const reader = decompress(source(), { what: "layer", compressedBytes: 1e9 })[Symbol.asyncIterator]();
  await reader.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const held = taken;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(taken, held, "nothing is taken while nobody reads");
  await reader.return?.();
});

test("coalescing changes the cuts and nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 50 })),
      fc.integer({ min: 1, max: 200 }),
      async (chunks, minBytes) => {
        const joined: Uint8Array[] = [];
        for await (const chunk of coalesce(Readable.from(chunks), minBytes)) joined.push(chunk);
        assert.ok(Buffer.concat(joined).equals(Buffer.concat(chunks)));
        assert.ok(joined.slice(0, -1).every((chunk) => chunk.length >= minBytes));
      },
    ),
  );
});
