import assert from "node:assert/strict";
import test from "node:test";
import { cgroupDirectory, cgroupLayout } from "./cgroup-mounts.ts";
import { parseMountinfo } from "./mountinfo.ts";

const hybridMounts = parseMountinfo(
  [
    "30 29 0:26 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw",
    "31 29 0:27 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,name=systemd",
    "32 29 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct",
    "33 29 0:29 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory",
    "34 29 0:30 / /sys/fs/cgroup/cpuset rw,nosuid - cgroup cgroup rw,cpuset,clone_children",
  ].join("\n"),
);
const hybridPaths =
  "4:cpuset:/\n3:memory:/user\n2:cpu,cpuacct:/a:b\n1:name=systemd:/init.scope\n0::/init.scope\n";

test("a hybrid layout has its controllers on v1 and an empty v2 tree", () => {
  const layout = cgroupLayout(hybridMounts, hybridPaths);
  assert.equal(layout.mode, "hybrid");
  assert.equal(layout.unified?.ownDirectory, "/sys/fs/cgroup/unified/init.scope");
  assert.deepEqual([...layout.controllers.keys()], ["name=systemd", "cpu", "cpuacct", "memory", "cpuset"]);
  assert.deepEqual(layout.controllers.get("cpuacct")?.controllers, ["cpu", "cpuacct"]);
  assert.equal(layout.controllers.get("cpu")?.ownPath, "/a:b");
  assert.equal(layout.controllers.get("name=systemd")?.name, "systemd");
  assert.equal(layout.controllers.get("memory")?.ownDirectory, "/sys/fs/cgroup/memory/user");
});

test("v2 alone, v1 alone and nothing are told apart", () => {
  const v2 = cgroupLayout(
    parseMountinfo("30 29 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate"),
    "0::/x\n",
  );
  assert.equal(v2.mode, "v2");
  assert.equal(v2.unified?.ownDirectory, "/sys/fs/cgroup/x");
  // v2 with systemd's named hierarchy beside it holds no controller on v1
  const named = cgroupLayout(hybridMounts.slice(0, 2), hybridPaths);
  assert.equal(named.mode, "v2");
  assert.equal(cgroupLayout(hybridMounts.slice(1), hybridPaths).mode, "v1");
  assert.equal(cgroupLayout([], "").mode, "none");
});

test("a mount that shows only a part gives directories of that part", () => {
  assert.equal(cgroupDirectory("/c", "/docker/1", "/docker/1"), "/c");
  assert.equal(cgroupDirectory("/c", "/docker/1", "/docker/1/x"), "/c/x");
  assert.equal(cgroupDirectory("/c", "/docker/1", "/docker/10"), undefined);
  assert.equal(cgroupDirectory("/c", "/..", "/"), undefined);
  assert.equal(cgroupDirectory("/c", "/", "/"), "/c");
});

test("of two mounts of one hierarchy the one from its root on counts", () => {
  const mounts = parseMountinfo(
    [
      "1 0 0:26 /part /a rw - cgroup2 cgroup2 rw",
      "2 0 0:26 / /b rw - cgroup2 cgroup2 rw",
      "3 0 0:26 / /c rw - cgroup2 cgroup2 rw",
    ].join("\n"),
  );
  assert.equal(cgroupLayout(mounts, "0::/\n").unified?.mountPoint, "/b");
});
