import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { deviceStateOf, deviceTransition } from "./device-transition.ts";
import type { LinuxDeviceCgroup } from "./resources.ts";

const allow = (major: number, minor: number, access = "rwm"): LinuxDeviceCgroup => ({
  allow: true,
  type: "c",
  major,
  minor,
  access,
});
const denyAll: LinuxDeviceCgroup = { allow: false };

/** The rules that lines of devices.allow and devices.deny are. */
function rulesOf(writes: ReturnType<typeof deviceTransition>["writes"]): LinuxDeviceCgroup[] {
  return writes.map(({ file, value }) => {
    const [type, numbers, access] = value.split(" ") as [string, string, string];
    const [major, minor] = numbers.split(":").map((part) => (part === "*" ? -1 : Number(part)));
    return { allow: file === "devices.allow", type, major, minor, access };
  });
}

test("only what differs is written, what is allowed first", () => {
  const { writes, undo, hasGap } = deviceTransition(
    [denyAll, allow(1, 3), allow(10, 229, "rw")],
    [denyAll, allow(1, 3), allow(10, 229, "r"), allow(5, 1)],
  );
  assert.equal(hasGap, false);
  assert.deepEqual(writes, [
    { file: "devices.allow", value: "c 5:1 rwm" },
    { file: "devices.deny", value: "c 10:229 w" },
  ]);
  assert.deepEqual(undo, [
    { file: "devices.allow", value: "c 10:229 w" },
    { file: "devices.deny", value: "c 5:1 rwm" },
  ]);
  assert.deepEqual(deviceTransition([denyAll, allow(1, 3)], [denyAll, allow(1, 3)]).writes, []);
});

test("another default is written from the start, and says that there is a gap", () => {
  const { writes, undo, hasGap } = deviceTransition([{ allow: true }], [denyAll, allow(1, 3)]);
  assert.equal(hasGap, true);
  assert.deepEqual(writes, [
    { file: "devices.deny", value: "a *:* rwm" },
    { file: "devices.allow", value: "c 1:3 rwm" },
  ]);
  assert.deepEqual(undo, [{ file: "devices.allow", value: "a *:* rwm" }]);
});

test("the writes lead from any rules to any others, and the undoing back", () => {
  const number = fc.constantFrom(-1, 1, 3);
  const rule: fc.Arbitrary<LinuxDeviceCgroup> = fc.oneof(
    { weight: 1, arbitrary: fc.record({ allow: fc.boolean() }) },
    {
      weight: 6,
      arbitrary: fc.record({
        allow: fc.boolean(),
        type: fc.constantFrom("a", "b", "c"),
        major: number,
        minor: number,
        access: fc.constantFrom("r", "rw", "rwm", "m"),
      }),
    },
  );
  const rules = fc.array(rule, { maxLength: 8 }).map((list) => [denyAll, ...list]);
  fc.assert(
    fc.property(rules, rules, (before, after) => {
      const { writes, undo, hasGap } = deviceTransition(before, after);
      const sorted = (list: readonly LinuxDeviceCgroup[]) => {
        const { allowsByDefault, exceptions } = deviceStateOf(list);
        return { allowsByDefault, exceptions: [...exceptions].sort(([a], [b]) => (a < b ? -1 : 1)) };
      };
      assert.deepEqual(sorted([...before, ...rulesOf(writes)]), sorted(after));
      assert.deepEqual(sorted([...before, ...rulesOf(writes), ...rulesOf(undo)]), sorted(before));
      if (hasGap) return;
      // at no step is anything refused that both allow
      const steps = rulesOf(writes);
      for (let count = 0; count <= steps.length; count++) {
        const now = deviceStateOf([...before, ...steps.slice(0, count)]);
        if (now.allowsByDefault) continue;
        for (const [key, { access }] of deviceStateOf(before).exceptions) {
          const both = access & (deviceStateOf(after).exceptions.get(key)?.access ?? 0);
          assert.equal(both & ~(now.exceptions.get(key)?.access ?? 0), 0, key);
        }
      }
    }),
  );
});
