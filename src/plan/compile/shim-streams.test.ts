import assert from "node:assert/strict";
import test from "node:test";
import type { CgroupHierarchy } from "../../linux/cgroup-mounts.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import { heldCgroup } from "./shim-streams.ts";

function cgroup(version: 1 | 2, ...controllers: string[]): ContainerCgroup {
  const mountPoint = `/sys/fs/cgroup/${controllers.join(",") || "unified"}`;
  const hierarchy: CgroupHierarchy = {
    mountPoint,
    root: "/",
    controllers,
    ownPath: "/",
    ownDirectory: mountPoint,
  };
  return { hierarchy, version, controllers, path: "/c", register: `cgroup ${mountPoint}` };
}

const [memory, freezer, unified] = [cgroup(1, "memory"), cgroup(1, "freezer"), cgroup(2)];

test("a container is held still by the freezer of v1 where there is one, else by that of v2", () => {
  assert.deepEqual(heldCgroup([unified, memory, freezer]), { cgroup: freezer, freezer: 1 });
  assert.deepEqual(heldCgroup([memory, freezer]), { cgroup: freezer, freezer: 1 });
  assert.deepEqual(heldCgroup([memory, unified]), { cgroup: unified, freezer: 2 });
  assert.deepEqual(heldCgroup([unified]), { cgroup: unified, freezer: 2 });
});

test("without a freezer a container is signalled as a whole all the same, without a cgroup it is not", () => {
  assert.deepEqual(heldCgroup([memory]), { cgroup: memory, freezer: 0 });
  assert.equal(heldCgroup([]), undefined);
});
