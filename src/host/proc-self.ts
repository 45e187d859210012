/** Text of /proc/self/status and /proc/self/limits (proc(5)). */
import type { RlimitFact } from "../plan/host-facts.ts";

export interface SelfStatus {
  /** Effective ids. */
  readonly uid: number;
  readonly gid: number;
  /** Effective capabilities. */
  readonly capabilities: bigint;
}

export function parseStatus(text: string): SelfStatus {
  const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(text)?.[1] ?? "";
  // four ids: real, effective, saved, file system
  const effective = (name: string) => Number(field(name).split(/\s+/)[1] ?? 0);
  return {
    uid: effective("Uid"),
    gid: effective("Gid"),
    capabilities: BigInt(`0x${field("CapEff") || "0"}`),
  };
}

const unlimited = (1n << 64n) - 1n;

/** Titles of /proc/self/limits -> the names of setrlimit(2). */
const titles: Readonly<Record<string, string>> = {
  "Max cpu time": "RLIMIT_CPU",
  "Max file size": "RLIMIT_FSIZE",
  "Max data size": "RLIMIT_DATA",
  "Max stack size": "RLIMIT_STACK",
  "Max core file size": "RLIMIT_CORE",
  "Max resident set": "RLIMIT_RSS",
  "Max processes": "RLIMIT_NPROC",
  "Max open files": "RLIMIT_NOFILE",
  "Max locked memory": "RLIMIT_MEMLOCK",
  "Max address space": "RLIMIT_AS",
  "Max file locks": "RLIMIT_LOCKS",
  "Max pending signals": "RLIMIT_SIGPENDING",
  "Max msgqueue size": "RLIMIT_MSGQUEUE",
  "Max nice priority": "RLIMIT_NICE",
  "Max realtime priority": "RLIMIT_RTPRIO",
  "Max realtime timeout": "RLIMIT_RTTIME",
};

export function parseLimits(text: string): Readonly<Record<string, RlimitFact>> {
  const limits: Record<string, RlimitFact> = {};
  const value = (word: string) => (word === "unlimited" ? unlimited : BigInt(word));
  for (const line of text.split("\n")) {
    const parts = /^(Max [a-z ]+?) {2,}(\d+|unlimited) +(\d+|unlimited)/.exec(line);
    const name = parts && titles[parts[1]!];
    if (parts && name) limits[name] = { soft: value(parts[2]!), hard: value(parts[3]!) };
  }
  return limits;
}
