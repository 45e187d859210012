/** `linux.resources` of create on this machine's hierarchies, file by file. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";
import { cgroupVanishes, containerId, type Json, runOnce, unready, withBundle } from "./bundle.ts";
import { both, reason, withLiving } from "./living.ts";
import { cgroupValue, hasV1 } from "./own-cgroups.ts";

const skip = unready;
const v1 = hasV1("memory");
const MB = 1 << 20;

/** A whole disk that the kernel can throttle. */
const disk = readFileSync("/proc/partitions", "utf8")
  .split("\n")
  .map((line) => /^ *(\d+) +(\d+) +\d+ (vd|sd|nvme|loop)\w*$/.exec(line))
  .find((parts) => parts !== null);
const [major, minor] = [Number(disk?.[1] ?? 0), Number(disk?.[2] ?? 0)];

/** BFQ has its statistics in the root as well, and its weight below it. */
const hasBfq =
  existsSync("/sys/fs/cgroup/blkio/blkio.bfq.io_serviced") &&
  !existsSync("/sys/fs/cgroup/blkio/blkio.weight");

type Shown = readonly [controller: string, file: string, value: string | RegExp];

interface Case {
  readonly name: string;
  readonly resources: Json;
  readonly files: readonly Shown[];
  /** The same on v2. */
  readonly v2: readonly Shown[];
  readonly withoutReference?: string;
  readonly skip?: string | false;
}

const cases: readonly Case[] = [
  {
    name: "memory, swap, reservation, swappiness and the OOM killer are as asked",
    resources: {
      memory: { limit: 64 * MB, swap: 96 * MB, reservation: 32 * MB, swappiness: 7, disableOOMKiller: true },
    },
    files: [
      ["memory", "memory.limit_in_bytes", String(64 * MB)],
      ["memory", "memory.memsw.limit_in_bytes", String(96 * MB)],
      ["memory", "memory.soft_limit_in_bytes", String(32 * MB)],
      ["memory", "memory.swappiness", "7"],
      ["memory", "memory.oom_control", /^oom_kill_disable 1$/m],
    ],
    // neither swappiness nor the killer can be set there
    v2: [
      ["memory", "memory.max", String(64 * MB)],
      ["memory", "memory.swap.max", String(32 * MB)],
      ["memory", "memory.low", String(32 * MB)],
    ],
  },
  {
    name: "shares, quota, period and CPUs are as asked",
    resources: { cpu: { shares: 777, quota: 30_000, period: 60_000, cpus: "0", mems: "0" } },
    files: [
      ["cpu", "cpu.shares", "777"],
      ["cpu", "cpu.cfs_quota_us", "30000"],
      ["cpu", "cpu.cfs_period_us", "60000"],
      ["cpuset", "cpuset.cpus", "0"],
    ],
    v2: [
      ["cpu", "cpu.max", "30000 60000"],
      ["cpuset", "cpuset.cpus", "0"],
      ["cpuset", "cpuset.mems", "0"],
    ],
  },
  {
    name: "burst is as asked beside the quota",
    resources: { cpu: { quota: 30_000, period: 60_000, burst: 20_000 } },
    files: [["cpu", "cpu.cfs_burst_us", "20000"]],
    v2: [["cpu", "cpu.max.burst", "20000"]],
    withoutReference: "runc 1.1 has no burst",
  },
  {
    name: "a group is idle as asked, whatever its shares",
    resources: { cpu: { shares: 512, idle: 1 } },
    files: [["cpu", "cpu.idle", "1"]],
    v2: [["cpu", "cpu.idle", "1"]],
    withoutReference: "runc 1.1 has no idle",
  },
  {
    name: "no limit of processes is written as such",
    resources: { pids: { limit: -1 } },
    files: [["pids", "pids.max", "max"]],
    v2: [["pids", "pids.max", "max"]],
  },
  {
    name: "a limit of no further process is one",
    resources: { pids: { limit: 0 } },
    files: [["pids", "pids.max", "0"]],
    v2: [["pids", "pids.max", "0"]],
    withoutReference: "0 meant no limit before runtime-spec 1.3",
  },
  {
    name: "the disks' weight is as asked",
    resources: { blockIO: { weight: 500 } },
    files: [["blkio", "blkio.bfq.weight", "500"]],
    v2: [["io", "io.weight", "default 4950"]],
    skip: v1 && !hasBfq && "a kernel with BFQ for v1 alone",
  },
  {
    name: "a disk is throttled",
    resources: {
      blockIO: {
        throttleReadBpsDevice: [{ major, minor, rate: 1_000_000 }],
        throttleWriteIOPSDevice: [{ major, minor, rate: 500 }],
      },
    },
    files: [
      ["blkio", "blkio.throttle.read_bps_device", `${major}:${minor} 1000000`],
      ["blkio", "blkio.throttle.write_iops_device", `${major}:${minor} 500`],
    ],
    v2: [["io", "io.max", `${major}:${minor} rbps=1000000 wbps=max riops=max wiops=500`]],
    skip: disk === undefined && "no disk that can be throttled",
  },
];

for (const { name, resources, files, v2, withoutReference, ...more } of cases)
  test(name, { skip: skip || more.skip || false }, async () => {
    for (const runtime of withoutReference ? (["gantry-oci"] as const) : both)
      await withLiving(runtime, "exec sleep 100", { linux: { resources } }, async ({ pid }) => {
        for (const [controller, file, wanted] of v1 ? files : v2) {
          const found = cgroupValue(pid, controller, file);
          if (typeof wanted === "string") assert.equal(found, wanted, `${runtime}: ${file}`);
          else assert.match(found, wanted, `${runtime}: ${file}`);
        }
      });
  });

const refusals: readonly (readonly [what: string, resources: Json, wanted: RegExp, ours: RegExp])[] = [
  [
    "a swappiness out of range",
    { memory: { swappiness: 150 } },
    /invalid (memory )?swappiness value: 150 \(valid range is 0-100\)/,
    /\/linux\/resources\/memory\/swappiness/,
  ],
  [
    "a swap limit below the memory limit",
    { memory: { limit: 64 * MB, swap: 32 * MB } },
    v1
      ? /memory.memsw.limit_in_bytes.*invalid argument/
      : /memory\+swap limit should be (greater than or equal to|>=) memory limit/,
    v1 ? /memory.memsw.limit_in_bytes = 33554432/ : /\/linux\/resources\/memory\/swap/,
  ],
  [
    "a set of CPUs that the machine does not have",
    { cpu: { cpus: "4000" } },
    /cpuset.cpus.*(numerical result out of range|invalid argument)/,
    /cpuset.cpus = 4000/,
  ],
];

for (const [what, resources, wanted, ours] of refusals) {
  // v2 has no swappiness: both pass over it there
  if (!v1 && what.includes("swappiness")) continue;
  test(`${what} is refused`, { skip }, async () => {
    for (const runtime of both) {
      const { code, stderr } = await runOnce(runtime, "true", { linux: { resources } });
      assert.equal(code, 1, `${runtime}: ${stderr}`);
      assert.match(reason(stderr), wanted, runtime);
      if (runtime === "gantry-oci") assert.match(reason(stderr), ours);
    }
  });
}

test("raw entries of a controller that is not there are refused by its name", { skip }, async () => {
  const { code, stderr } = await runOnce("gantry-oci", "true", {
    linux: { resources: { unified: { "nosuch.max": "1" } } },
  });
  assert.equal(code, 1);
  assert.match(
    reason(stderr),
    /unified resource "nosuch.max" can't be set: controller "nosuch" not available|cannot use unified on cgroup v1/,
  );
});

test(
  "a memory limit that is too small to start under is told as such",
  { skip: skip || cgroupVanishes() },
  () =>
    withBundle(
      "gantry-oci",
      "true",
      { linux: { resources: { memory: { limit: 8192, swap: 8192 } } } },
      async (runtime, bundle) => {
        const { code, stderr } = await runtime.call(["create", "--bundle", bundle.path, containerId()]);
        assert.equal(code, 1);
        assert.match(reason(stderr), /container init was OOM-killed \(memory limit too low\?\)/);
      },
    ),
);
