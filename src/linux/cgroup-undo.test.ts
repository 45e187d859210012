import assert from "node:assert/strict";
import test from "node:test";
import { undoValue } from "./cgroup-undo.ts";

const cases: readonly (readonly [what: string, file: string, value: string, before: string, undo: string])[] =
  [
    ["a number", "pids.max", "5", "max\n", "max"],
    ["an empty cpuset", "cpuset.cpus", "0-1", "\n", "\n"],
    [
      "a keyed line that was there",
      "io.max",
      "8:0 rbps=5",
      "8:0 rbps=9 wbps=max riops=max wiops=max\n",
      "8:0 rbps=9 wbps=max riops=max wiops=max",
    ],
    [
      "a keyed line that was not",
      "io.max",
      "8:0 rbps=5",
      "8:16 rbps=9 wbps=max riops=max wiops=max\n",
      "8:0 rbps=max wbps=max riops=max wiops=max",
    ],
    ["a throttle of v1", "blkio.throttle.read_bps_device", "8:0 5", "", "8:0 0"],
    ["a weight", "io.weight", "50", "default 100\n8:0 30\n", "default 100"],
    ["a weight of a device", "io.weight", "8:16 50", "default 100\n8:0 30\n", "8:16 default"],
    [
      "an rdma device",
      "rdma.max",
      "mlx5_0 hca_handle=2",
      "mlx5_0 hca_handle=max hca_object=9\n",
      "mlx5_0 hca_handle=max hca_object=9",
    ],
    ["an interface", "net_prio.ifpriomap", "eth0 5", "lo 0\neth0 2\n", "eth0 2"],
    ["quota and period of v2", "cpu.max", "5000 10000", "max 100000\n", "max 100000"],
    ["the OOM killer of v1", "memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "0"],
  ];

for (const [what, file, value, before, undo] of cases)
  test(`${what} gets its old value back`, () => assert.equal(undoValue({ file, value }, before), undo));

test("nothing is written back where there is no file, or where an idle group takes no weight", () => {
  assert.equal(undoValue({ file: "cpu.max.burst", value: "5" }, undefined), undefined);
  assert.equal(undoValue({ file: "cpu.weight", value: "5" }, "0\n"), undefined);
});
