import assert from "node:assert/strict";
import test from "node:test";
import { randomBelow, randomHex } from "./random.ts";

test("random names have the length asked for and differ", () => {
  const names = new Set(Array.from({ length: 1000 }, () => randomHex(8)));
  assert.equal(names.size, 1000);
  for (const name of names) assert.match(name, /^[0-9a-f]{16}$/);
});

test("random numbers cover their range and nothing else", () => {
  const seen = new Set(Array.from({ length: 500 }, () => randomBelow(5)));
  assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4]);
  assert.equal(randomBelow(1), 0);
});
