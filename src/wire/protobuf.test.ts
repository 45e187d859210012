import assert from "node:assert/strict";
import test from "node:test";
import { encodeMessage } from "./protobuf.ts";

test("numbers, truth values, texts and messages are written as protobuf's own examples are", () => {
  assert.deepEqual([...encodeMessage([[1, 150]])], [0x08, 0x96, 0x01]);
  assert.deepEqual([...encodeMessage([[2, "testing"]])], [0x12, 7, ...Buffer.from("testing")]);
  assert.deepEqual([...encodeMessage([[3, encodeMessage([[1, 150]])]])], [0x1a, 3, 0x08, 0x96, 0x01]);
  assert.deepEqual([...encodeMessage([[3, true]])], [0x18, 1]);
  assert.deepEqual([...encodeMessage([[1, 0x40000000]])], [0x08, 0x80, 0x80, 0x80, 0x80, 0x04]);
  assert.deepEqual([...encodeMessage([[17, 5]])], [0x88, 0x01, 5]);
});

test("a field without a value is left out, a false one is not", () => {
  assert.deepEqual([...encodeMessage([[1, undefined]])], []);
  assert.deepEqual([...encodeMessage([[1, false]])], [0x08, 0]);
});

test("what is no varint is refused, not written as something else", () => {
  for (const value of [-1, 0.5, Number.NaN]) assert.throws(() => encodeMessage([[1, value]]), /varint/);
});
