/** Statistics from cgroup v2 (kernel documentation, admin-guide/cgroup-v2), in the names of v1 as runc has them. */
import {
  addStats,
  flatKeyed,
  listOf,
  type Members,
  noLimit,
  pressureOf,
  type ReadStat,
  type StatNumber,
  type StatSources,
  statNumber,
  withoutEmpty,
} from "./stat-texts.ts";

function nanoseconds(microseconds: StatNumber = 0): StatNumber {
  const value = BigInt(microseconds) * 1000n;
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function cpuStats(read: ReadStat): Members {
  const stat = flatKeyed(read("cpu.stat"));
  return {
    usage: {
      ...withoutEmpty({ total: nanoseconds(stat.usage_usec) }),
      kernel: nanoseconds(stat.system_usec),
      user: nanoseconds(stat.user_usec),
    },
    throttling: withoutEmpty({
      periods: stat.nr_periods,
      throttledPeriods: stat.nr_throttled,
      throttledTime: nanoseconds(stat.throttled_usec),
    }),
    ...withoutEmpty({ psi: pressureOf(read("cpu.pressure")) }),
  };
}

/** v2 has the lists alone; the rest are switches of v1. */
function cpusetStats(read: ReadStat): Members {
  return {
    ...withoutEmpty({ cpus: listOf(read("cpuset.cpus.effective")) }),
    cpu_exclusive: 0,
    ...withoutEmpty({ mems: listOf(read("cpuset.mems.effective")) }),
    mem_hardwall: 0,
    mem_exclusive: 0,
    memory_migrate: 0,
    memory_spread_page: 0,
    memory_spread_slab: 0,
    memory_pressure: 0,
    sched_load_balance: 0,
    sched_relax_domain_level: 0,
  };
}

function memoryStats(read: ReadStat): Members {
  const raw = flatKeyed(read("memory.stat"));
  const value = (file: string) => statNumber(read(`memory.${file}`));
  const [usage, limit] = [value("current"), value("max")];
  const swapLimit = value("swap.max");
  const none = { limit: 0, failcnt: 0 };
  return {
    ...withoutEmpty({ cache: raw.file }),
    usage: {
      limit,
      ...withoutEmpty({ usage, max: value("peak") }),
      failcnt: flatKeyed(read("memory.events")).max ?? 0,
    },
    // v1 tells of memory and swap together
    swap: {
      limit: swapLimit === noLimit || limit === noLimit ? noLimit : addStats(swapLimit, limit),
      ...withoutEmpty({ usage: addStats(value("swap.current"), usage) }),
      failcnt: flatKeyed(read("memory.swap.events")).max ?? 0,
    },
    kernel: { ...none, ...withoutEmpty({ usage: raw.kernel }) },
    kernelTCP: { ...none, ...withoutEmpty({ usage: raw.sock }) },
    raw,
    ...withoutEmpty({ psi: pressureOf(read("memory.pressure")) }),
  };
}

/** Lines "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0". */
function ioStats(read: ReadStat): Members {
  const bytes: Members[] = [];
  const operations: Members[] = [];
  for (const line of (read("io.stat") ?? "").split("\n")) {
    const device = /^(\d+):(\d+) /.exec(line);
    if (!device) continue;
    const [major, minor] = [Number(device[1]), Number(device[2])];
    const add = (list: Members[], key: string, op: string) => {
      const value = new RegExp(` ${key}=(\\d+)`).exec(line)?.[1];
      if (value !== undefined) list.push(withoutEmpty({ major, minor, op, value: statNumber(value) }));
    };
    add(bytes, "rbytes", "Read");
    add(bytes, "wbytes", "Write");
    add(operations, "rios", "Read");
    add(operations, "wios", "Write");
  }
  return withoutEmpty({
    ioServiceBytesRecursive: bytes,
    ioServicedRecursive: operations,
    psi: pressureOf(read("io.pressure")),
  });
}

export function hugetlbV2Stats(read: ReadStat, pageSizes: readonly string[]): Members {
  return Object.fromEntries(
    pageSizes.flatMap((size) => {
      const current = read(`hugetlb.${size}.current`);
      if (current === undefined) return [];
      const { max = 0 } = flatKeyed(read(`hugetlb.${size}.events`));
      return [[size, { ...withoutEmpty({ usage: statNumber(current) }), failcnt: max }]];
    }),
  );
}

export function cgroupV2Stats({ v2, pageSizes }: StatSources): Members {
  const read = v2 ?? (() => undefined);
  const limit = read("pids.max")?.trim();
  return {
    cpu: cpuStats(read),
    cpuset: cpusetStats(read),
    memory: memoryStats(read),
    pids: withoutEmpty({
      current: statNumber(read("pids.current")),
      limit: limit === "max" ? 0 : statNumber(limit),
    }),
    blkio: ioStats(read),
    hugetlb: hugetlbV2Stats(read, pageSizes),
  };
}
