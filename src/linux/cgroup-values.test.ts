import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { cgroupV1Values } from "./cgroup-v1-values.ts";
import { cgroupV2Values, cpuWeightOfShares, ioWeightOfBlkioWeight } from "./cgroup-v2-values.ts";
import type { CgroupValues } from "./cgroup-values.ts";
import type { LinuxResources } from "./resources.ts";

const lines = ({ writes }: CgroupValues) =>
  writes.map(({ file, value, optional }) => `${file}=${value}${optional ? " optional" : ""}`);
const v1 = (resources: LinuxResources, options = {}) => lines(cgroupV1Values(resources, options));
const v2 = (resources: LinuxResources, options = {}) => lines(cgroupV2Values(resources, options));
const MB = 1024 * 1024;

function refuses(pointer: string, reason: RegExp, run: () => unknown): void {
  assert.throws(
    run,
    (error) =>
      isGantryError(error, "invalid-argument") &&
      error.detail.pointer === pointer &&
      reason.test(error.message),
  );
}

test("100 MB and 2 CPUs as Docker asks for them", () => {
  const resources = { memory: { limit: 100 * MB, swap: 200 * MB }, cpu: { quota: 200000, period: 100000 } };
  assert.deepEqual(v1(resources), [
    "memory.limit_in_bytes=104857600",
    "memory.memsw.limit_in_bytes=209715200",
    "cpu.cfs_period_us=100000",
    "cpu.cfs_quota_us=200000",
  ]);
  assert.deepEqual(v2(resources), [
    "memory.swap.max=104857600",
    "memory.max=104857600",
    "cpu.max=200000 100000",
  ]);
});

test("memory and swap of v1 are written in the order that keeps one below the other", () => {
  const grow = { memory: { limit: 300 * MB, swap: 600 * MB } };
  assert.deepEqual(v1(grow, { memoryLimit: 100 * MB }), [
    "memory.memsw.limit_in_bytes=629145600",
    "memory.limit_in_bytes=314572800",
  ]);
  const shrink = { memory: { limit: 50 * MB, swap: 80 * MB } };
  assert.deepEqual(v1(shrink, { memoryLimit: 100 * MB }), [
    "memory.limit_in_bytes=52428800",
    "memory.memsw.limit_in_bytes=83886080",
  ]);
});

test("no memory limit takes the swap limit away with it", () => {
  assert.deepEqual(v1({ memory: { limit: -1 } }), [
    "memory.memsw.limit_in_bytes=-1 optional",
    "memory.limit_in_bytes=-1",
  ]);
  assert.deepEqual(v2({ memory: { limit: -1 } }), ["memory.swap.max=max optional", "memory.max=max"]);
  assert.deepEqual(v2({ memory: { limit: 10, swap: -1 } }), [
    "memory.swap.max=max optional",
    "memory.max=10",
  ]);
});

test("swap of v2 is what the v1 notion leaves beside memory, and must fit it", () => {
  assert.deepEqual(v2({ memory: { limit: 10, swap: 10 } }), ["memory.swap.max=0 optional", "memory.max=10"]);
  refuses("/memory/swap", /should be >= memory limit/, () => v2({ memory: { limit: 10, swap: 9 } }));
  refuses("/memory/swap", /without memory limit/, () => v2({ memory: { swap: 9 } }));
  refuses("/memory/swap", /below -1/, () => v2({ memory: { swap: -2 } }));
  refuses("/memory/limit", /below -1/, () => v1({ memory: { limit: -2 } }));
});

test("0 means not set for memory and cpu, and is a limit for processes", () => {
  const resources = {
    memory: { limit: 0, swap: 0, reservation: 0 },
    cpu: { shares: 0, quota: 0, period: 0 },
  };
  assert.deepEqual(v1(resources), []);
  assert.deepEqual(v2(resources), []);
  for (const [limit, text] of [
    [0, "0"],
    [-1, "max"],
    [512, "512"],
  ] as const) {
    assert.deepEqual(v1({ pids: { limit } }), [`pids.max=${text}`]);
    assert.deepEqual(v2({ pids: { limit } }), [`pids.max=${text}`]);
  }
  assert.deepEqual(v2({ pids: {} }), []);
});

test("checkBeforeUpdate of v2 asks for the usage first", () => {
  const check = { controller: "memory", file: "memory.current" };
  const { checks } = cgroupV2Values({ memory: { limit: 4096, swap: 8192, checkBeforeUpdate: true } });
  assert.deepEqual(checks, [
    { ...check, limit: 8192, pointer: "/memory/swap" },
    { ...check, limit: 4096, pointer: "/memory/limit" },
  ]);
  assert.deepEqual(cgroupV2Values({ memory: { limit: -1, checkBeforeUpdate: true } }).checks, []);
  assert.deepEqual(cgroupV2Values({ memory: { limit: 4096 } }).checks, []);
});

test("memory knobs of v1, and what v2 cannot do", () => {
  const memory = { reservation: 5, swappiness: 0, disableOOMKiller: true, kernel: 1, kernelTCP: 1 };
  assert.deepEqual(v1({ memory }), [
    "memory.soft_limit_in_bytes=5",
    "memory.oom_control=1",
    "memory.swappiness=0",
  ]);
  assert.deepEqual(v2({ memory }), ["memory.low=5"]);
  assert.deepEqual(cgroupV2Values({ memory }).ignored, [
    "/memory/kernel",
    "/memory/kernelTCP",
    "/memory/swappiness",
    "/memory/disableOOMKiller",
  ]);
  refuses("/memory/swappiness", /0-100/, () => v1({ memory: { swappiness: 101 } }));
});

test("shares become weights on the curve that meets minimum, default and maximum", () => {
  for (const [shares, weight] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [1024, 100],
    [262143, 10000],
    [262144, 10000],
    [1 << 20, 10000],
  ] as const)
    assert.equal(cpuWeightOfShares(shares), weight, String(shares));
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 262143 }), (shares) => {
      assert.ok(cpuWeightOfShares(shares) <= cpuWeightOfShares(shares + 1));
    }),
  );
});

test("an idle group has no weight, a group that wakes has one after it woke", () => {
  assert.deepEqual(v2({ cpu: { shares: 1024, idle: 1 } }), ["cpu.idle=1"]);
  assert.deepEqual(v2({ cpu: { shares: 1024, idle: 0 } }), ["cpu.idle=0", "cpu.weight=100"]);
  assert.deepEqual(v1({ cpu: { shares: 1024, idle: 0 } }), ["cpu.idle=0", "cpu.shares=1024"]);
});

test("a fresh group takes the period, the quota, and the burst that the quota allows", () => {
  const cpu = { quota: 50000, period: 10000, burst: 2000 };
  assert.deepEqual(v1({ cpu }), [
    "cpu.cfs_period_us=10000",
    "cpu.cfs_quota_us=50000",
    "cpu.cfs_burst_us=2000 optional",
  ]);
  assert.deepEqual(v2({ cpu }), ["cpu.max=50000 10000", "cpu.max.burst=2000 optional"]);
  assert.deepEqual(v2({ cpu: { period: 20000 } }), ["cpu.max=max 20000"]);
  assert.deepEqual(v2({ cpu: { quota: -1 } }), ["cpu.max=max 100000"]);
  assert.deepEqual(v1({ cpu: { quota: -1 } }), ["cpu.cfs_quota_us=-1"]);
});

test("a burst that shrinks comes before the quota, one that grows after it", () => {
  const cpu = { quota: 10000, burst: 5000 };
  assert.deepEqual(v1({ cpu }, { cpuQuota: 50000, cpuBurst: 40000 }), [
    "cpu.cfs_burst_us=5000 optional",
    "cpu.cfs_quota_us=10000",
  ]);
  assert.deepEqual(v2({ cpu }, { current: { cpuBurst: 40000 } }), [
    "cpu.max.burst=5000 optional",
    "cpu.max=10000 100000",
  ]);
  assert.deepEqual(v2({ cpu }, { current: { cpuBurst: 5000 } }), [
    "cpu.max=10000 100000",
    "cpu.max.burst=5000 optional",
  ]);
});

test("no step between old and new bandwidth of v1 is above both of them, nor a burst above the quota", () => {
  const share = (quota: number, period: number) => (quota < 0 ? Number.POSITIVE_INFINITY : quota / period);
  const period = fc.integer({ min: 1000, max: 1_000_000 });
  const limits = fc
    .tuple(fc.oneof(fc.constant(-1), fc.integer({ min: 1000, max: 5_000_000 })), period, fc.nat())
    .map(([quota, cfsPeriod, burst]) => ({
      quota,
      period: cfsPeriod,
      burst: quota < 0 ? 0 : burst % (quota + 1),
    }));
  fc.assert(
    fc.property(limits, limits, (before, after) => {
      const most = Math.max(share(before.quota, before.period), share(after.quota, after.period));
      const now = { ...before };
      const current = { cpuQuota: before.quota, cpuPeriod: before.period, cpuBurst: before.burst };
      for (const { file, value } of cgroupV1Values({ cpu: after }, current).writes) {
        if (file === "cpu.cfs_quota_us") now.quota = Number(value);
        else if (file === "cpu.cfs_period_us") now.period = Number(value);
        else now.burst = Number(value);
        assert.ok(share(now.quota, now.period) <= most * (1 + 1e-9), `${file}=${value}`);
        assert.ok(now.quota < 0 || now.burst <= now.quota, `${file}=${value}`);
      }
      assert.deepEqual(now, after);
    }),
  );
});

test("a real-time period that is shorter than the old runtime comes after the new one", () => {
  const cpu = { realtimePeriod: 1000, realtimeRuntime: 500 };
  assert.deepEqual(v1({ cpu }), ["cpu.rt_period_us=1000", "cpu.rt_runtime_us=500"]);
  assert.deepEqual(v1({ cpu }, { cpuRealtimeRuntime: 2000 }), [
    "cpu.rt_runtime_us=500",
    "cpu.rt_period_us=1000",
  ]);
});

test("real-time limits and cpusets", () => {
  const cpu = { realtimePeriod: 5, realtimeRuntime: 3, cpus: "0-1", mems: "0" };
  assert.deepEqual(v1({ cpu }), [
    "cpuset.cpus=0-1",
    "cpuset.mems=0",
    "cpu.rt_period_us=5",
    "cpu.rt_runtime_us=3",
  ]);
  assert.deepEqual(v2({ cpu }), ["cpuset.cpus=0-1", "cpuset.mems=0"]);
  assert.deepEqual(cgroupV2Values({ cpu }).ignored, ["/cpu/realtimePeriod", "/cpu/realtimeRuntime"]);
});

test("block I/O: weights fall back where BFQ is absent, throttles go to one file of v2", () => {
  const blockIO = {
    weight: 500,
    leafWeight: 300,
    weightDevice: [{ major: 8, minor: 0, weight: 100, leafWeight: 10 }],
    throttleReadBpsDevice: [{ major: 8, minor: 16, rate: 1000 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 0 }],
  };
  assert.deepEqual(v1({ blockIO }), [
    "blkio.weight=500",
    "blkio.leaf_weight=300",
    "blkio.weight_device=8:0 100",
    "blkio.leaf_weight_device=8:0 10",
    "blkio.throttle.read_bps_device=8:16 1000",
    "blkio.throttle.write_iops_device=8:16 0",
  ]);
  const values = cgroupV2Values({ blockIO });
  assert.deepEqual(lines(values), [
    "io.bfq.weight=500",
    "io.bfq.weight=8:0 100",
    "io.max=8:16 rbps=1000",
    "io.max=8:16 wiops=max",
  ]);
  assert.deepEqual(
    values.writes.slice(0, 2).map((write) => write.otherwise),
    [
      { file: "io.weight", value: "4950" },
      { file: "io.weight", value: "8:0 910" },
    ],
  );
  assert.deepEqual([ioWeightOfBlkioWeight(10), ioWeightOfBlkioWeight(1000)], [1, 10000]);
});

test("huge pages, rdma and network", () => {
  const resources: LinuxResources = {
    hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }],
    rdma: { mlx5_0: { hcaHandles: 3, hcaObjects: 10000 }, hfi1: { hcaObjects: 5 } },
    network: { classID: 1048577, priorities: [{ name: "eth0", priority: 500 }] },
  };
  assert.deepEqual(v1(resources), [
    "hugetlb.2MB.rsvd.limit_in_bytes=4194304 optional",
    "hugetlb.2MB.limit_in_bytes=4194304",
    "rdma.max=mlx5_0 hca_handle=3 hca_object=10000",
    "rdma.max=hfi1 hca_object=5",
    "net_cls.classid=1048577",
    "net_prio.ifpriomap=eth0 500",
  ]);
  assert.deepEqual(v2(resources), [
    "hugetlb.2MB.rsvd.max=4194304 optional",
    "hugetlb.2MB.max=4194304",
    "rdma.max=mlx5_0 hca_handle=3 hca_object=10000",
    "rdma.max=hfi1 hca_object=5",
  ]);
  assert.deepEqual(cgroupV2Values(resources).ignored, ["/network/classID", "/network/priorities"]);
  refuses("/hugepageLimits/0", /malformed/, () => v2({ hugepageLimits: [{ pageSize: "../x", limit: 1 }] }));
  refuses("/rdma/a b", /malformed/, () => v2({ rdma: { "a b": { hcaHandles: 1 } } }));
});

test("raw entries come last, line by line, and their keys are checked", () => {
  const unified = { "memory.high": "100", "io.max": "8:0 rbps=1\n8:1 rbps=2\n", "cgroup.max.depth": "5" };
  const options = { availableControllers: ["memory", "io", "pids"] };
  assert.deepEqual(v2({ unified, pids: { limit: 1 } }, options), [
    "pids.max=1",
    "memory.high=100",
    "io.max=8:0 rbps=1",
    "io.max=8:1 rbps=2",
    "cgroup.max.depth=5",
  ]);
  refuses("/unified/a~1b.c", /no slashes/, () => v2({ unified: { "a/b.c": "1" } }));
  refuses("/unified/memory", /CONTROLLER.PARAMETER/, () => v2({ unified: { memory: "1" } }));
  refuses("/unified/.x", /CONTROLLER.PARAMETER/, () => v2({ unified: { ".x": "1" } }));
  for (const file of ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "cgroup.kill"])
    refuses(`/unified/${file}`, /is not a limit/, () => v2({ unified: { [file]: "1" } }, options));
  refuses("/unified", /cannot use unified on cgroup v1/, () => v1({ unified }));
  assert.throws(
    () => v2({ unified: { "cpu.weight": "1" } }, options),
    (error) =>
      isGantryError(error, "failed-precondition") && /controller "cpu" not available/.test(error.message),
  );
});

test("every write names a file of its controller and the field that asked for it", () => {
  const resources: LinuxResources = {
    memory: { limit: 1, swap: 2, reservation: 1 },
    cpu: { shares: 5, quota: 1000, burst: 1, cpus: "0" },
    pids: { limit: 3 },
    blockIO: { weight: 10 },
    hugepageLimits: [{ pageSize: "1GB", limit: 0 }],
  };
  for (const { writes } of [cgroupV1Values(resources), cgroupV2Values(resources)])
    for (const { controller, file, pointer } of writes) {
      assert.ok(file.startsWith(`${controller}.`), file);
      const field = pointer.split("/")[1]!;
      assert.ok(field in resources, pointer);
    }
});
