import assert from "node:assert/strict";
import test from "node:test";
import { encodePlan } from "./encode.ts";
import type { Step } from "./plan.ts";

/** A plan that grows by four bytes with each of `words`. */
function planOf(words: number): Uint8Array {
  const values = Array.from({ length: words }, (_, index) => index);
  const step: Step = { op: "set-user", where: "", uid: 1, gid: 2, groups: values, setGroups: 1 };
  return encodePlan({ host: [], child: [step], cleanup: [] });
}

test("a plan is encoded whatever operand the room ends at", () => {
  const base = planOf(0).length;
  // on both sides of every size that the buffer takes up to 128 KiB
  for (const size of [32, 64, 128].map((kib) => kib * 1024))
    for (let words = (size - base) / 4 - 12; words < (size - base) / 4 + 12; words++) {
      const plan = planOf(Math.floor(words));
      assert.equal(plan.length, base + 4 * Math.floor(words));
    }
});
