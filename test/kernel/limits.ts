/** Limits as the cgroups of a container have them, in the words of its config, whichever version the machine has. */
import type { Runtime } from "./bundle.ts";
import { cgroupValue, hasV1 } from "./own-cgroups.ts";

export interface Limits {
  /** Bytes; -1 is no limit. */
  readonly memory: number;
  readonly memoryAndSwap: number;
  readonly reservation: number;
  readonly pids: string;
  /** Microseconds; -1 is no limit. */
  readonly quota: number;
  readonly period: number;
  /** cpu.shares, or what `sharesAs` says of them. */
  readonly shares: number;
  readonly cpus: string;
}

/** v1 shows the largest number of pages for no limit, v2 a word. */
function bytes(text: string): number {
  return text === "max" || Number(text) > 2 ** 60 ? -1 : Number(text);
}

export function limitsOf(pid: unknown): Limits {
  const read = (controller: string, file: string) => cgroupValue(pid, controller, file);
  const shared = { pids: read("pids", "pids.max"), cpus: read("cpuset", "cpuset.cpus") };
  if (hasV1("memory"))
    return {
      ...shared,
      memory: bytes(read("memory", "memory.limit_in_bytes")),
      memoryAndSwap: bytes(read("memory", "memory.memsw.limit_in_bytes")),
      reservation: bytes(read("memory", "memory.soft_limit_in_bytes")),
      quota: Number(read("cpu", "cpu.cfs_quota_us")),
      period: Number(read("cpu", "cpu.cfs_period_us")),
      shares: Number(read("cpu", "cpu.shares")),
    };
  const [memory, swap] = [bytes(read("memory", "memory.max")), bytes(read("memory", "memory.swap.max"))];
  const [quota = "", period = ""] = read("cpu", "cpu.max").split(" ");
  return {
    ...shared,
    memory,
    memoryAndSwap: memory < 0 || swap < 0 ? -1 : memory + swap,
    reservation: bytes(read("memory", "memory.low")),
    quota: bytes(quota),
    period: Number(period),
    shares: Number(read("cpu", "cpu.weight")),
  };
}

/** What `shares` become on this machine: v2 has a weight, for which Debian's runc 1.1 still has the older curve. */
export function sharesAs(name: Runtime["name"], shares: number): number {
  if (hasV1("cpu")) return shares;
  if (name === "runc") return 1 + Math.floor(((shares - 2) * 9999) / 262142);
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}
