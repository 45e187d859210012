import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";

test("detach keys are written as docker takes them", () => {
  assert.deepEqual(parseDetachKeys(undefined), [16, 17]);
  assert.deepEqual(parseDetachKeys(""), [16, 17]);
  assert.deepEqual(
    parseDetachKeys("ctrl-@,ctrl-z,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_"),
    [0, 26, 27, 28, 29, 30, 31],
  );
  assert.deepEqual(parseDetachKeys("a,DEL,A"), [97, 127, 65]);
  for (const text of ["ctrl-", "ctrl-A", "ctrl-aa", "ab", "a,,b", "ctrl-1", "ä", "^p"])
    assert.throws(
      () => parseDetachKeys(text),
      (error) =>
        isGantryError(error, "invalid-argument") &&
        error.message === `Invalid detach keys (${text}) provided`,
      text,
    );
});

function scan(keys: readonly number[], pieces: readonly Uint8Array[]) {
  const scanner = new DetachScanner(keys);
  const out: number[] = [];
  for (const piece of pieces) {
    const { bytes, detached } = scanner.take(piece);
    out.push(...bytes);
    if (detached) return { out, detached };
  }
  return { out, detached: false };
}

test("the keys are found wherever they stand, and nothing else is lost or held back for good", () => {
  assert.deepEqual(scan([16, 17], [Uint8Array.of(1, 16), Uint8Array.of(17, 2)]), {
    out: [1],
    detached: true,
  });
  assert.deepEqual(scan([16, 17], [Uint8Array.of(16), Uint8Array.of(16, 17)]), { out: [16], detached: true });
  assert.deepEqual(scan([16, 17], [Uint8Array.of(16, 3)]), { out: [16, 3], detached: false });
  assert.deepEqual(scan([1, 1, 2], [Uint8Array.of(1, 1, 1, 2)]), { out: [1], detached: true });
});

test("in any pieces it is what the whole text says", () => {
  const byte = fc.integer({ min: 1, max: 3 });
  fc.assert(
    fc.property(
      fc.array(byte, { minLength: 1, maxLength: 4 }),
      fc.array(fc.uint8Array({ min: 1, max: 3, maxLength: 6 }), { maxLength: 8 }),
      (keys, pieces) => {
        const text = String.fromCharCode(...pieces.flatMap((piece) => [...piece]));
        const at = text.indexOf(String.fromCharCode(...keys));
        const { out, detached } = scan(keys, pieces);
        assert.equal(detached, at >= 0);
        const wanted = at >= 0 ? text.slice(0, at) : text;
        const got = String.fromCharCode(...out);
        // without a match the beginning of one may be held back
        if (detached) assert.equal(got, wanted);
        else assert.ok(wanted.startsWith(got) && wanted.length - got.length < keys.length);
      },
    ),
  );
});
