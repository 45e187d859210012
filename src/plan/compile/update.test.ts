import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../../base/error.ts";
import { placeResources } from "../../linux/place-resources.ts";
import type { LinuxResources } from "../../linux/resources.ts";
import { encodePlan } from "../encode.ts";
import { printStep } from "../print.ts";
import { compileFreeze } from "./freeze.ts";
import type { LivingCgroup } from "./living-cgroups.ts";
import { compileUpdate } from "./update.ts";

const v1: readonly LivingCgroup[] = ["memory", "cpu", "devices", "freezer"].map((name) => ({
  version: 1,
  mount: `/sys/fs/cgroup/${name}`,
  path: "/c",
  controllers: [name],
}));
const v2: readonly LivingCgroup[] = [{ version: 2, mount: "/sys/fs/cgroup", path: "/c" }];

function plan(
  cgroups: readonly LivingCgroup[],
  resources: LinuxResources,
  files: Readonly<Record<string, string>>,
  devices?: Parameters<typeof compileUpdate>[0]["devices"],
) {
  const places = {
    v1: new Set(cgroups.flatMap(({ controllers }) => controllers ?? [])),
    v2: cgroups === v2 ? ["memory", "cpu", "pids", "io"] : undefined,
  };
  const { writes } = placeResources(places, resources);
  const compiled = compileUpdate({
    cgroups,
    writes,
    before: (_cgroup, file) => files[file],
    devices,
    frozen: false,
  });
  encodePlan(compiled);
  const words = (steps: typeof compiled.host) => steps.map((step) => printStep(step));
  return { host: words(compiled.host), undo: words(compiled.cleanup), compiled };
}

test("an update writes in order and goes back in the other", () => {
  const { host, undo, compiled } = plan(
    v2,
    { memory: { limit: 4096, swap: 8192 } },
    { "memory.max": "max\n", "memory.swap.max": "0\n" },
  );
  assert.deepEqual(host, [
    "open-cgroup mount=/sys/fs/cgroup path=/c -> <cgroup /sys/fs/cgroup>",
    "write-cgroup dir=<cgroup /sys/fs/cgroup> file=memory.swap.max value=4096 optional=0",
    "write-cgroup dir=<cgroup /sys/fs/cgroup> file=memory.max value=4096 optional=0",
  ]);
  assert.deepEqual(undo, [
    "open-cgroup mount=/sys/fs/cgroup path=/c -> <cgroup /sys/fs/cgroup>",
    "write-cgroup dir=<cgroup /sys/fs/cgroup> file=memory.max value=max optional=1",
    "write-cgroup dir=<cgroup /sys/fs/cgroup> file=memory.swap.max value=0 optional=1",
  ]);
  assert.equal(compiled.host[2]?.where, "/linux/resources/memory/limit");
  assert.equal(compiled.host[2]?.phrase, "failed to set /linux/resources/memory/limit");
});

test("a weight goes to the file that the kernel has, and back to the same", () => {
  const weight = { blockIO: { weight: 500 } };
  const { host, undo } = plan(v2, weight, { "io.weight": "default 100\n" });
  assert.match(
    host[1]!,
    /^write-cgroup-either .* file=io.bfq.weight value=500 otherwise=io.weight otherValue=4950$/,
  );
  assert.match(undo[1]!, / file=io.weight value="default 100" /);
});

test("device rules of v2 are replaced in one step, those of v1 by their differences", () => {
  const rules = { old: [], new: [{ allow: true, type: "c", major: 10, minor: 229, access: "rw" }] };
  const unified = plan(v2, {}, {}, rules);
  assert.match(unified.host[1]!, /^set-device-filter /);
  assert.match(unified.undo[1]!, /^set-device-filter /);
  const { host, undo } = plan(v1, {}, {}, rules);
  assert.deepEqual(host.slice(1), [
    'write-cgroup dir=<cgroup /sys/fs/cgroup/devices> file=devices.allow value="c 10:229 rw" optional=0',
  ]);
  assert.deepEqual(undo.slice(1), [
    'write-cgroup dir=<cgroup /sys/fs/cgroup/devices> file=devices.deny value="c 10:229 rw" optional=0',
  ]);
});

test("a container stands still while the default of its device rules changes on v1", () => {
  const { host, undo } = plan(v1, {}, {}, { old: [], new: [{ allow: true }] });
  const ops = (steps: readonly string[]) => steps.map((step) => step.replace(/ dir=<[^>]*>| mount=.*/g, ""));
  assert.deepEqual(ops(host), [
    "open-cgroup",
    "open-cgroup",
    "freeze-cgroup version=1 frozen=1 timeoutMs=10000",
    'write-cgroup file=devices.allow value="a *:* rwm" optional=0',
    "freeze-cgroup version=1 frozen=0 timeoutMs=10000",
  ]);
  assert.equal(ops(undo).at(-1), "freeze-cgroup version=1 frozen=0 timeoutMs=10000");
  assert.equal(ops(undo)[2], 'write-cgroup file=devices.deny value="a *:* rwm" optional=0');
});

test("the freezer of v1 is asked where there is one, else that of v2", () => {
  const last = (cgroups: readonly LivingCgroup[]) => printStep(compileFreeze(cgroups, true).host.at(-1)!);
  assert.match(last(v1), /version=1 frozen=1/);
  assert.match(last([...v2, ...v1]), /version=1 frozen=1/);
  assert.match(last(v2), /version=2 frozen=1/);
  assert.throws(
    () => compileFreeze([], true),
    (error) => isGantryError(error, "failed-precondition") && /cannot toggle freezer/.test(error.message),
  );
});

test("a limit of a controller that no cgroup has is refused with its place", () => {
  assert.throws(
    () => placeResources({ v1: new Set(["memory"]), v2: [] }, { pids: { limit: 5 } }),
    (error) => isGantryError(error, "invalid-argument") && error.detail.pointer === "/pids/limit",
  );
});
