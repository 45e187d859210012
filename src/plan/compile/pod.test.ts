import assert from "node:assert/strict";
import test from "node:test";
import { hybridHost, v2Host } from "../../../test/golden/hosts.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import { encodePlan } from "../encode.ts";
import { compilePod, type PodRequest } from "./pod.ts";

function plan(kinds: readonly string[], more: Partial<PodRequest> = {}) {
  const config = {
    ociVersion: "1.3.0",
    hostname: "web",
    linux: { namespaces: ["mount", "uts", ...kinds].map((type) => ({ type })), cgroupsPath: "/gantry/pod-1" },
  } as unknown as RuntimeConfig;
  const request: PodRequest = {
    id: "1",
    config,
    facts: hybridHost,
    state: "/run/gantry/pods/1",
    pause: kinds.includes("pid"),
    ownsCgroup: true,
    network: false,
    ...more,
  };
  const compiled = compilePod(request);
  encodePlan(compiled);
  return compiled;
}

test("what is pinned is unpinned by the clean-up, which begins with the child", () => {
  const { host, cleanup } = plan(["network", "ipc"], { shmBytes: 1 << 20 });
  const pinned = host.flatMap((step) => (step.op === "pin" ? [step.path] : []));
  const unpinned = cleanup.flatMap((step) => (step.op === "unpin" ? [step.path] : []));
  assert.deepEqual(
    [...pinned].sort(),
    ["ns/ipc", "ns/net", "ns/uts", "shm"].map((name) => `/run/gantry/pods/1/${name}`),
  );
  assert.deepEqual([...unpinned].sort(), [...pinned].sort());
  assert.equal(cleanup[0]?.op, "kill-child");
});

test("without a shared pid namespace the child is ended and is in no cgroup of its own", () => {
  const { host, child } = plan(["network"]);
  assert.equal(child.at(-1)?.op, "stay");
  assert.equal(host.at(-1)?.op, "end-child");
  assert.deepEqual(
    host
      .flatMap((step) => (step.op === "make-cgroup" ? [step.path] : []))
      .filter((path) => path.includes("pause")),
    [],
  );
});

test("a pause process is recorded before it runs, has no privilege, and is in a leaf below the pod's cgroup", () => {
  const { host, child } = plan(["pid"], { facts: v2Host });
  const names = child.map(({ op }) => op);
  assert.equal(names.at(-1), "become-pause");
  for (const [first, then] of [
    ["pivot", "close-descriptors"],
    ["set-user", "set-capabilities"],
    ["set-no-new-privileges", "become-pause"],
  ] as const)
    assert.ok(names.indexOf(first) < names.indexOf(then), `${first} before ${then}`);
  const steps = host.map(({ op }) => op);
  assert.ok(steps.indexOf("record-start") < steps.lastIndexOf("tell-child"));
  const cgroups = host.flatMap((step) => (step.op === "make-cgroup" ? [step.path] : []));
  assert.deepEqual(cgroups, ["/gantry/pod-1", "/gantry/pod-1/pause"]);
});

test("a cgroup that is somebody else's is neither made nor removed", () => {
  const { host, cleanup } = plan(["network"], { ownsCgroup: false });
  assert.deepEqual(
    [...host, ...cleanup].filter(({ op }) => op === "make-cgroup" || op === "remove-cgroup"),
    [],
  );
  const pausing = plan(["pid"], { ownsCgroup: false });
  assert.deepEqual(
    new Set(pausing.cleanup.flatMap((step) => (step.op === "remove-cgroup" ? [step.path] : []))),
    new Set(["/gantry/pod-1/pause-1"]),
  );
});
