import assert from "node:assert/strict";
import test from "node:test";
import { isPruned } from "./prune-filter.ts";

const thing = (createdAt: string, labels: Readonly<Record<string, string>> = {}) => ({ createdAt, labels });

test("until spares what was made at that time or later", () => {
  const until = new Date("2026-01-02T00:00:00Z");
  assert.equal(isPruned({ until }, thing("2026-01-01T23:59:59Z")), true);
  assert.equal(isPruned({ until }, thing("2026-01-02T00:00:00Z")), false);
  assert.equal(isPruned({ until }, thing("")), true, "what does not say when it was made is old");
});

test("every label must be there, and none that is excluded", () => {
  const labelled = thing("2026-01-01T00:00:00Z", { a: "1", b: "" });
  assert.equal(isPruned({ labels: [{ key: "a" }, { key: "b" }] }, labelled), true);
  assert.equal(isPruned({ labels: [{ key: "a", value: "2" }] }, labelled), false);
  assert.equal(isPruned({ labels: [{ key: "a", not: true }] }, labelled), false);
  assert.equal(isPruned({ labels: [{ key: "a", value: "2", not: true }] }, labelled), true);
});
