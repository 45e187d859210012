import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { decodeTreeEntry } from "./tree-entry.ts";

const u32 = (...values: readonly number[]) => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
};
const u64 = (...values: readonly bigint[]) => {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) bytes.writeBigInt64LE(value, index * 8);
  return bytes;
};
const text = (value: string) => Buffer.concat([u32(value.length), Buffer.from(value, "latin1")]);

test("an entry is decoded field by field", () => {
  const bytes = Buffer.concat([
    u32(0, 0o104755, 33, 44, 2, 0, 0, 1),
    u64(2049n, 77n, 123n, -5n),
    u32(6, 1),
    ...[text("na\xffme"), text(""), text("user.a"), text("v\0")],
  ]);
  const entry = decodeTreeEntry(bytes);
  assert.ok(!("errno" in entry));
  assert.deepEqual(
    [entry.name, entry.type, entry.mode, entry.uid, entry.gid, entry.links, entry.mounted, entry.key],
    ["na\xffme", "file", 0o4755, 33, 44, 2, true, "2049:77"],
  );
  assert.deepEqual([entry.sizeBytes, entry.mtimeSeconds, entry.mtimeNanoseconds], [123, -5, 6]);
  assert.deepEqual(entry.xattrs, [{ name: "user.a", value: Uint8Array.from([118, 0]) }]);
});

test("what could not be looked at has an errno and a name", () => {
  const bytes = Buffer.concat([
    u32(2, 0, 0, 0, 0, 0, 0, 0),
    u64(0n, 0n, 0n, 0n),
    u32(0, 0),
    text("gone"),
    text(""),
  ]);
  assert.deepEqual(decodeTreeEntry(bytes), { errno: 2, name: "gone" });
});

test("no bytes make it do anything but decode or refuse", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeTreeEntry(bytes);
      } catch (error) {
        assert.ok(isGantryError(error, "data-loss"));
      }
    }),
  );
});
