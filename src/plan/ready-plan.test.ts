import assert from "node:assert/strict";
import { test } from "node:test";
import { encodePlan } from "./encode.ts";
import type { Plan } from "./plan.ts";
import { planMold } from "./ready-plan.ts";

const [standIn, first, second] = ["0", "a", "b"].map((digit) => digit.repeat(64)) as [string, string, string];

function planOf(name: string): Plan {
  const group = { where: "", mount: "/sys/fs/cgroup" };
  return {
    host: [{ op: "make-cgroup", ...group, path: `/${name}/${name}.scope`, init: 2, dir: "cgroup" }],
    child: [],
    cleanup: [{ op: "remove-cgroup", ...group, path: `/${name}` }],
  };
}

test("a mold gives the bytes of each name, and makes the plan once", () => {
  let made = 0;
  const mold = planMold(standIn, (name) => {
    made++;
    return planOf(name);
  });
  for (const name of [first, second]) assert.deepEqual(mold(name).bytes, encodePlan(planOf(name)));
  assert.equal(made, 1);
  assert.deepEqual(mold(first).plan(), planOf(first));
});

test("a name of another length is not put into the mold", () => {
  const ready = planMold(standIn, planOf)("short");
  assert.deepEqual(ready.bytes, encodePlan(planOf("short")));
});

test("one ready plan does not change another", () => {
  const mold = planMold(standIn, planOf);
  const before = Buffer.from(mold(first).bytes);
  const kept = mold(first);
  mold(second);
  assert.deepEqual(Buffer.from(kept.bytes), before);
});
