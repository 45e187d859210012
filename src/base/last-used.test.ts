import assert from "node:assert/strict";
import test from "node:test";
import { LastUsed } from "./last-used.ts";

const value = (name: string) => ({ name });

test("what is kept is found, and at the limit the one that was not asked for the longest is not", () => {
  const kept = new LastUsed<{ readonly name: string }>(2);
  assert.equal(kept.get("a"), undefined);
  const a = value("a");
  assert.equal(kept.keep("a", a), a);
  kept.keep("b", value("b"));
  assert.equal(kept.get("a"), a);
  kept.keep("c", value("c"));
  assert.deepEqual(
    ["a", "b", "c"].map((key) => kept.get(key)?.name),
    ["a", undefined, "c"],
  );
});

test("a value that takes the place of another of its key drives nothing out", () => {
  const kept = new LastUsed<{ readonly name: string }>(2);
  kept.keep("a", value("old"));
  kept.keep("b", value("b"));
  kept.keep("a", value("new"));
  assert.deepEqual(
    ["a", "b"].map((key) => kept.get(key)?.name),
    ["new", "b"],
  );
});
