import assert from "node:assert/strict";
import test from "node:test";
import { statsDocument } from "./cgroup-stats.ts";
import type { StatSources } from "./stat-texts.ts";

type Files = Readonly<Record<string, string>>;
const from = (files: Files) => (file: string) => files[file];
const empty: StatSources = { v1: () => undefined, v2: undefined, pageSizes: [], interfaces: undefined };

test("v2 is told in the names and units of v1", () => {
  const files: Files = {
    "cpu.stat": "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 3\nnr_throttled 2\nthrottled_usec 7\n",
    "cpu.pressure":
      "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "memory.current": "4096\n",
    "memory.max": "8192\n",
    "memory.swap.current": "100\n",
    "memory.swap.max": "1000\n",
    "memory.stat": "anon 1\nfile 2048\n",
    "memory.events": "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\n",
    "pids.current": "2\n",
    "pids.max": "max\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n253:0\n",
    "hugetlb.2MB.current": "2097152\n",
    "hugetlb.2MB.events": "max 5\n",
    "cpuset.cpus.effective": "0-1,3\n",
  };
  const document = statsDocument({ ...empty, v2: from(files), pageSizes: ["2MB", "1GB"] });
  const { cpu, memory, pids, blkio, hugetlb, cpuset } = document as Record<string, Record<string, unknown>>;
  assert.deepEqual(cpu, {
    usage: { total: 10000, kernel: 4000, user: 6000 },
    throttling: { periods: 3, throttledPeriods: 2, throttledTime: 7000 },
    psi: {
      some: { avg10: 1.5, avg60: 0, avg300: 0, total: 9 },
      full: { avg10: 0, avg60: 0, avg300: 0, total: 0 },
    },
  });
  assert.deepEqual(memory, {
    cache: 2048,
    usage: { limit: 8192, usage: 4096, failcnt: 4 },
    swap: { limit: 9192, usage: 4196, failcnt: 0 },
    kernel: { limit: 0, failcnt: 0 },
    kernelTCP: { limit: 0, failcnt: 0 },
    raw: { anon: 1, file: 2048 },
  });
  assert.deepEqual(pids, { current: 2 });
  assert.deepEqual(blkio, {
    ioServiceBytesRecursive: [
      { major: 8, op: "Read", value: 10 },
      { major: 8, op: "Write", value: 20 },
    ],
    ioServicedRecursive: [
      { major: 8, op: "Read", value: 1 },
      { major: 8, op: "Write", value: 2 },
    ],
  });
  assert.deepEqual(hugetlb, { "2MB": { usage: 2097152, failcnt: 5 } });
  assert.deepEqual(cpuset!.cpus, [0, 1, 3]);
  assert.equal(document.network_interfaces, null);
  assert.deepEqual(document.intel_rdt, {});
});

test("v1 is read from the hierarchy of each controller, huge pages also from a v2 tree beside them", () => {
  const files: Readonly<Record<string, Files>> = {
    cpuacct: {
      "cpuacct.usage": "5\n",
      "cpuacct.usage_percpu": "3 2 \n",
      "cpuacct.usage_all": "cpu user system\n0 1 2\n1 1 1\n",
      "cpuacct.stat": "user 3\nsystem 4\n",
    },
    cpu: { "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n" },
    memory: { "memory.limit_in_bytes": "9223372036854771712\n", "memory.stat": "cache 5\nrss 6\n" },
    blkio: {
      "blkio.throttle.io_service_bytes_recursive":
        "8:16 Read 4096\n8:16 Write 0\n8:16 Total 4096\nTotal 4096\n",
      "blkio.time_recursive": "8:16 7\n",
    },
  };
  const document = statsDocument({
    ...empty,
    v1: (controller) => files[controller] && from(files[controller]),
    v2: from({ "hugetlb.2MB.current": "0\n" }),
    pageSizes: ["2MB"],
  });
  const { cpu, memory, blkio, hugetlb } = document as Record<string, Record<string, unknown>>;
  assert.deepEqual(cpu!.usage, {
    total: 5,
    percpu: [3, 2],
    percpu_kernel: [2, 1],
    percpu_user: [1, 1],
    kernel: 40_000_000,
    user: 30_000_000,
  });
  assert.deepEqual(cpu!.throttling, {});
  assert.deepEqual(memory!.usage, { limit: 9223372036854771712n, failcnt: 0 });
  assert.equal(memory!.cache, 5);
  assert.deepEqual(blkio, {
    ioServiceBytesRecursive: [
      { major: 8, minor: 16, op: "Read", value: 4096 },
      { major: 8, minor: 16, op: "Write" },
      { major: 8, minor: 16, op: "Total", value: 4096 },
    ],
    ioTimeRecursive: [{ major: 8, minor: 16, value: 7 }],
  });
  assert.deepEqual(hugetlb, { "2MB": { failcnt: 0 } });
});

test("interfaces are told without the loopback", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0: 1500      10    1    2    0     0          0         0      700       7    3    4    0     0       0          0
`;
  assert.deepEqual(statsDocument({ ...empty, interfaces: text }).network_interfaces, [
    {
      Name: "eth0",
      RxBytes: 1500,
      RxPackets: 10,
      RxErrors: 1,
      RxDropped: 2,
      TxBytes: 700,
      TxPackets: 7,
      TxErrors: 3,
      TxDropped: 4,
    },
  ]);
});
