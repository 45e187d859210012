import assert from "node:assert/strict";
import test from "node:test";
import { cgroupUsage, networkBytes, systemCpu } from "./cgroup-usage.ts";

const files = (texts: Readonly<Record<string, string>>) => (file: string) => texts[file];

test("usage of v1 is read from the hierarchies of its controllers", () => {
  const memory = files({
    "memory.usage_in_bytes": "4096000\n",
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.stat": "cache 1\ntotal_inactive_file 96000\n",
  });
  const blkio = files({
    "blkio.throttle.io_service_bytes_recursive":
      "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\n8:16 Read 1\n8:16 Write 2\nTotal 123\n",
  });
  const readers: Readonly<Record<string, ReturnType<typeof files>>> = {
    ...{
      memory,
      blkio,
      cpuacct: files({ "cpuacct.usage": "12345\n" }),
      pids: files({ "pids.current": "7\n" }),
    },
  };
  assert.deepEqual(cgroupUsage({ v1: (name) => readers[name], v2: files({}) }), {
    ...{ cpuNanoseconds: 12345, memoryBytes: 4096000, inactiveFileBytes: 96000 },
    ...{ memoryLimitBytes: Number.POSITIVE_INFINITY, pids: 7, blockReadBytes: 101, blockWriteBytes: 22 },
  });
});

test("usage of v2 is read from one cgroup", () => {
  const v2 = files({
    "cpu.stat": "usage_usec 5000\nuser_usec 1\n",
    "memory.current": "1000\n",
    "memory.max": "2000\n",
    "memory.stat": "anon 1\ninactive_file 300\n",
    "pids.current": "3\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=1\n8:16 rbytes=1 wbytes=2 rios=0 wios=0\n",
  });
  assert.deepEqual(cgroupUsage({ v1: () => undefined, v2 }), {
    ...{ cpuNanoseconds: 5_000_000, memoryBytes: 1000, inactiveFileBytes: 300, memoryLimitBytes: 2000 },
    ...{ pids: 3, blockReadBytes: 11, blockWriteBytes: 22 },
  });
});

test("a cgroup that is gone uses nothing", () => {
  const nothing = cgroupUsage({ v1: () => undefined, v2: files({}) });
  assert.deepEqual([nothing.cpuNanoseconds, nothing.memoryBytes, nothing.pids], [0, 0, 0]);
});

test("the time of all CPUs counts idle ones, and guests once", () => {
  const text = "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\n";
  assert.deepEqual(systemCpu(text), { nanoseconds: 360_000_000, cpus: 2 });
});

test("interfaces add up, but for lo", () => {
  const text = [
    "Inter-|   Receive                            |  Transmit",
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets",
    "    lo:     500       5    0    0    0     0          0         0      500       5    0    0    0     0       0          0",
    "  eth0: 1000      10    0    0    0     0          0         0     2000      20    0    0    0     0       0          0",
    "  eth1:1 10    0    0    0     0          0         0     2      20    0    0    0     0       0          0",
  ].join("\n");
  assert.deepEqual(networkBytes(text), { received: 1001, sent: 2002 });
});
