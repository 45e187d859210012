/** The flags of `update` -> `linux.resources`, with the words of the library that runc takes its numbers with. */
import { existsSync } from "node:fs";
import { GantryError } from "../base/error.ts";
import type { IntelRdt } from "../plan/compile/intel-rdt.ts";
import { linuxResources, type RuntimeResources } from "../spec/runtime-resources.ts";
import { type Flags, type FlagTable, usageError } from "./flags.ts";

export const updateFlags: FlagTable = {
  resources: {
    kind: "text",
    short: "r",
    help: "file with linux.resources as JSON, - for stdin; the other flags are not looked at then",
  },
  "blkio-weight": { kind: "text", help: "block IO weight, 10 to 1000" },
  "cpu-period": { kind: "text", help: "CPU period of the quota (in usecs)" },
  "cpu-quota": { kind: "text", help: "CPU quota (in usecs): allowed CPU time in a period" },
  "cpu-burst": { kind: "text", help: "CPU time (in usecs) that may be saved up beyond the quota" },
  "cpu-share": { kind: "text", help: "CPU shares (relative weight against other containers)" },
  "cpu-rt-period": { kind: "text", help: "CPU period of the real-time runtime (in usecs)" },
  "cpu-rt-runtime": { kind: "text", help: "CPU real-time runtime (in usecs)" },
  "cpuset-cpus": { kind: "text", help: "CPU(s) to use" },
  "cpuset-mems": { kind: "text", help: "memory node(s) to use" },
  "kernel-memory": { kind: "text", help: "accepted and ignored: kernels no longer have this limit" },
  "kernel-memory-tcp": { kind: "text", help: "accepted and ignored: kernels no longer have this limit" },
  memory: { kind: "text", help: "memory limit (in bytes, or with a suffix of k, m, g, t, p)" },
  "memory-reservation": { kind: "text", help: "memory reservation or soft limit (in bytes)" },
  "memory-swap": { kind: "text", help: "total memory usage (memory + swap); -1 for unlimited swap" },
  "pids-limit": { kind: "text", help: "most processes; -1 for unlimited" },
  "l3-cache-schema": { kind: "text", help: "the string of the Intel RDT/CAT L3 cache schema" },
  "mem-bw-schema": { kind: "text", help: "the string of the Intel RDT/MBA memory bandwidth schema" },
  "cpu-idle": {
    kind: "text",
    help: "1 gives the container only what nobody else wants of the CPU; 0 is normal",
  },
};

function integerOf(flags: Flags, name: string, parse: "ParseUint" | "ParseInt"): number | undefined {
  const text = flags.text(name);
  if (text === undefined || text === "") return undefined;
  const wanted = parse === "ParseUint" ? /^\d{1,20}$/ : /^[+-]?\d{1,19}$/;
  if (!wanted.test(text))
    throw usageError(
      `invalid value for ${name}: strconv.${parse}: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  return Number(text);
}

/** "64M", "1.5 GiB" and "-1", as docker/go-units has sizes. */
export function sizeOf(name: string, text: string): number {
  if (text === "-1") return -1;
  const parts = /^(\d+(?:\.\d+)?) ?([kmgtp])?(i?b)?$/i.exec(text);
  if (!parts) throw usageError(`invalid value for ${name}: invalid size: '${text}'`);
  return Math.floor(Number(parts[1]) * 1024 ** " kmgtp".indexOf((parts[2] ?? " ").toLowerCase()));
}

function bytesOf(flags: Flags, name: string): number | undefined {
  const text = flags.text(name);
  return text === undefined || text === "" ? undefined : sizeOf(name, text);
}

/** Cache and memory bandwidth, where they are asked for: they are no resources of a cgroup. */
export function intelRdtOfFlags(flags: Flags, mount: string | undefined): IntelRdt | undefined {
  const asked = (name: string, folders: readonly string[], words: string) => {
    const text = flags.text(name);
    if (text && !(mount && folders.some((folder) => existsSync(`${mount}/info/${folder}`))))
      throw new GantryError("failed-precondition", words);
    return text || undefined;
  };
  const cache = ["L3", "L3CODE", "L3DATA"];
  const l3CacheSchema = asked("l3-cache-schema", cache, "Intel RDT/CAT: l3 cache schema is not enabled");
  const memBwSchema = asked("mem-bw-schema", ["MB"], "Intel RDT/MBA: memory bandwidth schema is not enabled");
  return l3CacheSchema || memBwSchema ? { l3CacheSchema, memBwSchema } : undefined;
}

export function resourcesOfFlags(flags: Flags, warn: (message: string) => void): RuntimeResources {
  for (const name of ["kernel-memory", "kernel-memory-tcp"])
    if (bytesOf(flags, name)) warn("Kernel memory settings are ignored and will be removed");
  const unsigned = (name: string) => integerOf(flags, name, "ParseUint");
  const signed = (name: string) => integerOf(flags, name, "ParseInt");
  const limit = signed("pids-limit");
  const asked = {
    memory: {
      limit: bytesOf(flags, "memory"),
      reservation: bytesOf(flags, "memory-reservation"),
      swap: bytesOf(flags, "memory-swap"),
    },
    cpu: {
      shares: unsigned("cpu-share"),
      period: unsigned("cpu-period"),
      quota: signed("cpu-quota"),
      burst: unsigned("cpu-burst"),
      realtimePeriod: unsigned("cpu-rt-period"),
      realtimeRuntime: signed("cpu-rt-runtime"),
      cpus: flags.text("cpuset-cpus"),
      mems: flags.text("cpuset-mems"),
      idle: signed("cpu-idle"),
    },
    blockIO: { weight: unsigned("blkio-weight") },
    ...(limit === undefined ? {} : { pids: { limit } }),
  };
  return linuxResources(asked, "");
}
