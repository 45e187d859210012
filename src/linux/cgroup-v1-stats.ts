/** Statistics from cgroup v1 (kernel documentation, admin-guide/cgroup-v1), as runc's fs manager reads them. */
import { hugetlbV2Stats } from "./cgroup-v2-stats.ts";
import {
  flatKeyed,
  listOf,
  type Members,
  pressureOf,
  type ReadStat,
  type StatNumber,
  type StatSources,
  statNumber,
  withoutEmpty,
} from "./stat-texts.ts";

const nothing: ReadStat = () => undefined;
/** USER_HZ, in which cpuacct.stat counts: 100 on every architecture that is supported. */
const nanosecondsPerTick = 10_000_000n;

function ticks(value: StatNumber = 0): StatNumber {
  const nanoseconds = BigInt(value) * nanosecondsPerTick;
  return nanoseconds <= Number.MAX_SAFE_INTEGER ? Number(nanoseconds) : nanoseconds;
}

function numbers(text: string | undefined): readonly StatNumber[] {
  return (text ?? "").trim().split(/\s+/).filter(Boolean).map(statNumber);
}

function cpuStats({ v1, v2 }: StatSources): Members {
  const [cpu, account] = [v1("cpu") ?? nothing, v1("cpuacct") ?? nothing];
  const { nr_periods, nr_throttled, throttled_time } = flatKeyed(cpu("cpu.stat"));
  const { user, system } = flatKeyed(account("cpuacct.stat"));
  // lines of "cpu user system" below a head
  const perCpu = (account("cpuacct.usage_all") ?? "").trim().split("\n").slice(1).map(numbers);
  return {
    usage: {
      ...withoutEmpty({
        total: statNumber(account("cpuacct.usage")),
        percpu: numbers(account("cpuacct.usage_percpu")),
        percpu_kernel: perCpu.map((line) => line[2] ?? 0),
        percpu_user: perCpu.map((line) => line[1] ?? 0),
      }),
      kernel: ticks(system),
      user: ticks(user),
    },
    throttling: withoutEmpty({
      periods: nr_periods,
      throttledPeriods: nr_throttled,
      throttledTime: throttled_time,
    }),
    ...withoutEmpty({ psi: pressureOf(v2?.("cpu.pressure")) }),
  };
}

function cpusetStats(read: ReadStat): Members {
  const value = (name: string) => statNumber(read(`cpuset.${name}`));
  const listed = (name: string) => listOf(read(`cpuset.${name}`));
  return {
    ...withoutEmpty({ cpus: listed("cpus") }),
    cpu_exclusive: value("cpu_exclusive"),
    ...withoutEmpty({ mems: listed("mems") }),
    mem_hardwall: value("mem_hardwall"),
    mem_exclusive: value("mem_exclusive"),
    memory_migrate: value("memory_migrate"),
    memory_spread_page: value("memory_spread_page"),
    memory_spread_slab: value("memory_spread_slab"),
    memory_pressure: value("memory_pressure"),
    sched_load_balance: value("sched_load_balance"),
    sched_relax_domain_level: value("sched_relax_domain_level"),
  };
}

function memoryStats({ v1, v2 }: StatSources): Members {
  const read = v1("memory") ?? nothing;
  const entry = (name: string) => {
    const value = (what: string) => statNumber(read(`memory.${name}${what}`));
    return {
      limit: value("limit_in_bytes"),
      ...withoutEmpty({ usage: value("usage_in_bytes"), max: value("max_usage_in_bytes") }),
      failcnt: value("failcnt"),
    };
  };
  const raw = flatKeyed(read("memory.stat"));
  return {
    ...withoutEmpty({ cache: raw.cache }),
    usage: entry(""),
    swap: entry("memsw."),
    kernel: entry("kmem."),
    kernelTCP: entry("kmem.tcp."),
    raw,
    ...withoutEmpty({ psi: pressureOf(v2?.("memory.pressure")) }),
  };
}

/** Lines "8:0 Read 4096", or "8:0 4096" where there is one kind only. */
function blkioEntries(text: string | undefined): readonly Members[] {
  return (text ?? "").split("\n").flatMap((line) => {
    const parts = /^(\d+):(\d+)(?: ([A-Z]\w*))? (\d+)$/.exec(line.trim());
    if (!parts) return [];
    const [, major, minor, op, value] = parts;
    return [withoutEmpty({ major: Number(major), minor: Number(minor), op, value: statNumber(value) })];
  });
}

/** Of BFQ where it is in use, else of the schedulers before it, else of throttling, which counts always. */
function blkioStats({ v1, v2 }: StatSources): Members {
  const read = v1("blkio") ?? nothing;
  const entries = (...files: readonly string[]) =>
    files.map((file) => blkioEntries(read(`blkio.${file}`))).find((list) => list.length > 0) ?? [];
  const metric = (name: string) => entries(`bfq.${name}_recursive`, `${name}_recursive`);
  return withoutEmpty({
    ioServiceBytesRecursive: entries(
      "bfq.io_service_bytes_recursive",
      "io_service_bytes_recursive",
      "throttle.io_service_bytes_recursive",
      "throttle.io_service_bytes",
    ),
    ioServicedRecursive: entries(
      "bfq.io_serviced_recursive",
      "io_serviced_recursive",
      "throttle.io_serviced_recursive",
      "throttle.io_serviced",
    ),
    ioQueueRecursive: metric("io_queued"),
    ioServiceTimeRecursive: metric("io_service_time"),
    ioWaitTimeRecursive: metric("io_wait_time"),
    ioMergedRecursive: metric("io_merged"),
    ioTimeRecursive: metric("time"),
    sectorsRecursive: metric("sectors"),
    psi: pressureOf(v2?.("io.pressure")),
  });
}

function hugetlbStats({ v1, v2, pageSizes }: StatSources): Members {
  const read = v1("hugetlb");
  // a controller without a v1 hierarchy may be in the v2 tree
  if (!read) return hugetlbV2Stats(v2 ?? nothing, pageSizes);
  return Object.fromEntries(
    pageSizes.map((size) => {
      const value = (what: string) => statNumber(read(`hugetlb.${size}.${what}`));
      const used = withoutEmpty({ usage: value("usage_in_bytes"), max: value("max_usage_in_bytes") });
      return [size, { ...used, failcnt: value("failcnt") }];
    }),
  );
}

export function cgroupV1Stats(sources: StatSources): Members {
  const pids = sources.v1("pids") ?? nothing;
  const limit = pids("pids.max")?.trim();
  return {
    cpu: cpuStats(sources),
    cpuset: cpusetStats(sources.v1("cpuset") ?? nothing),
    memory: memoryStats(sources),
    pids: withoutEmpty({
      current: statNumber(pids("pids.current")),
      limit: limit === "max" ? 0 : statNumber(limit),
    }),
    blkio: blkioStats(sources),
    hugetlb: hugetlbStats(sources),
  };
}
