/** What a container uses, in few reads: for whoever looks at many containers every second. Pure. */
import { flatKeyed, type ReadStat } from "./stat-texts.ts";

export interface CgroupUsage {
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
  /** Pages of files that the kernel would give up first: docker counts them as free. */
  readonly inactiveFileBytes: number;
  /** Infinity where there is none. */
  readonly memoryLimitBytes: number;
  readonly pids: number;
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
}

/** How a file of one controller's cgroup is read; for v2 of the only one. */
export interface UsageSources {
  readonly v1: (controller: string) => ReadStat | undefined;
  readonly v2: ReadStat | undefined;
}

const nothing: ReadStat = () => undefined;

function number(text: string | undefined): number {
  const value = text?.trim();
  return value && /^\d+$/.test(value) ? Number(value) : 0;
}

/** v1 says "no limit" with the largest number of pages. */
function limit(text: string | undefined): number {
  const value = text?.trim();
  if (value === undefined || value === "max" || value === "") return Number.POSITIVE_INFINITY;
  return Number(value) >= 2 ** 62 ? Number.POSITIVE_INFINITY : Number(value);
}

export function cgroupUsage({ v1, v2 }: UsageSources): CgroupUsage {
  return v1("memory") || v1("cpuacct") ? usageV1(v1) : usageV2(v2 ?? nothing);
}

function usageV1(v1: UsageSources["v1"]): CgroupUsage {
  const memory = v1("memory") ?? nothing;
  const blkio = v1("blkio") ?? nothing;
  const stat = flatKeyed(memory("memory.stat"));
  const bytes = [
    "bfq.io_service_bytes_recursive",
    "io_service_bytes_recursive",
    "throttle.io_service_bytes_recursive",
  ].map((file) => blkio(`blkio.${file}`) ?? "");
  // of the first scheduler that counts; throttling counts always
  const lines = bytes.find((text) => /^\d+:\d+ /m.test(text)) ?? "";
  const sum = (op: string) =>
    [...lines.matchAll(new RegExp(`^\\d+:\\d+ ${op} (\\d+)$`, "gm"))].reduce(
      (all, [, n]) => all + Number(n),
      0,
    );
  return {
    cpuNanoseconds: number((v1("cpuacct") ?? nothing)("cpuacct.usage")),
    memoryBytes: number(memory("memory.usage_in_bytes")),
    inactiveFileBytes: Number(stat.total_inactive_file ?? 0),
    memoryLimitBytes: limit(memory("memory.limit_in_bytes")),
    pids: number((v1("pids") ?? nothing)("pids.current")),
    blockReadBytes: sum("Read"),
    blockWriteBytes: sum("Write"),
  };
}

function usageV2(read: ReadStat): CgroupUsage {
  const io = read("io.stat") ?? "";
  const sum = (key: string) =>
    [...io.matchAll(new RegExp(` ${key}=(\\d+)`, "g"))].reduce((all, [, n]) => all + Number(n), 0);
  return {
    cpuNanoseconds: Number(flatKeyed(read("cpu.stat")).usage_usec ?? 0) * 1000,
    memoryBytes: number(read("memory.current")),
    inactiveFileBytes: Number(flatKeyed(read("memory.stat")).inactive_file ?? 0),
    memoryLimitBytes: limit(read("memory.max")),
    pids: number(read("pids.current")),
    blockReadBytes: sum("rbytes"),
    blockWriteBytes: sum("wbytes"),
  };
}

/** Nanoseconds that all CPUs together have spent, idle ones too, from the text of /proc/stat; and how many there are. */
export function systemCpu(text: string): { readonly nanoseconds: number; readonly cpus: number } {
  const ticks = (/^cpu +(.*)$/m.exec(text)?.[1] ?? "").split(" ").slice(0, 8);
  return {
    // USER_HZ is 100 on every architecture that is supported
    nanoseconds: ticks.reduce((sum, tick) => sum + Number(tick), 0) * 10_000_000,
    cpus: text.match(/^cpu\d+ /gm)?.length ?? 1,
  };
}

/** Bytes over all interfaces but lo, from the text of /proc/PID/net/dev. */
export function networkBytes(text: string): { readonly received: number; readonly sent: number } {
  let received = 0;
  let sent = 0;
  for (const line of text.split("\n")) {
    const parts = /^\s*([^\s:]+):\s*(.*)$/.exec(line);
    if (!parts || parts[1] === "lo") continue;
    const numbers = parts[2]!.trim().split(/\s+/).map(Number);
    received += numbers[0] ?? 0;
    sent += numbers[8] ?? 0;
  }
  return { received, sent };
}
