/** What containers use, as docker counts it. */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { errnoOf } from "../../base/error.ts";
import { type CgroupUsage, cgroupUsage, networkBytes, systemCpu } from "../../linux/cgroup-usage.ts";
import { readCgroupFile } from "../../oci/cgroup-files.ts";
import { cgroupFor, type LivingCgroup } from "../../plan/compile/living-cgroups.ts";
import type { StartRecord } from "../../tasks/records.ts";
import type { Internals } from "../internals.ts";
import { containerCgroups } from "./container-cgroups.ts";
import { noSuchContainer } from "./container-store.ts";
import { observe } from "./observe.ts";

export interface ContainerStats {
  readonly id: string;
  readonly name: string;
  /** RFC 3339. */
  readonly time: string;
  /** Of one CPU, since the sample before: 150 is one and a half. 0 for the first. */
  readonly cpuPercent: number;
  readonly cpuNanoseconds: number;
  /** Without what the kernel can give up at once. */
  readonly memoryBytes: number;
  /** Its own limit, or the memory of the machine. */
  readonly memoryLimitBytes: number;
  readonly memoryPercent: number;
  readonly networkReceivedBytes: number;
  readonly networkSentBytes: number;
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
  readonly pids: number;
}

export interface StatsOptions {
  /** Go on until it ends; else one sample, of the time between two looks. Default true. */
  readonly stream?: boolean;
  /** Default: 1000. */
  readonly intervalMs?: number;
  readonly signal?: AbortSignal;
}

interface Sample extends CgroupUsage {
  readonly system: number;
  readonly cpus: number;
  readonly network: { readonly received: number; readonly sent: number };
}

/** One sample each interval; ends with the container. Of one that does not run there is one, of zeros. */
export async function* containerStats(
  internals: Internals,
  id: string,
  options: StatsOptions = {},
): AsyncGenerator<ContainerStats> {
  const { stream = true, intervalMs = 1000, signal } = options;
  let previous: Sample | undefined;
  for (let first = true; ; first = false) {
    signal?.throwIfAborted();
    const observed = await observe(internals, id);
    if (!observed) {
      if (!first) return;
      throw noSuchContainer(id);
    }
    const { record, state } = observed;
    const running = state.kind === "running";
    if (!running && !first) return;
    const sample = running ? takeSample(internals, state.start) : undefined;
    if (stream || previous || !sample) yield statsOf(id, record.name, sample, previous);
    if (!sample || (!stream && previous)) return;
    previous = sample;
    await pause(intervalMs, undefined, signal ? { signal } : {});
  }
}

function takeSample(internals: Internals, start: StartRecord): Sample {
  const cgroups = containerCgroups(internals, start);
  const reader = (cgroup: LivingCgroup | undefined) =>
    cgroup && ((file: string) => readCgroupFile(cgroup, file));
  const usage = cgroupUsage({
    v1: (controller) => reader(cgroupFor(cgroups, 1, controller)),
    v2: reader(cgroupFor(cgroups, 2, "")),
  });
  const { nanoseconds, cpus } = systemCpu(readFileSync("/proc/stat", "utf8"));
  return { ...usage, system: nanoseconds, cpus, network: networkOf(start.init.pid) };
}

function networkOf(pid: number): Sample["network"] {
  try {
    return networkBytes(readFileSync(`/proc/${pid}/net/dev`, "utf8"));
  } catch (error) {
    // it has ended meanwhile
    if (["ENOENT", "ESRCH", "EINVAL"].includes(errnoOf(error) ?? "")) return { received: 0, sent: 0 };
    throw error;
  }
}

function statsOf(
  id: string,
  name: string,
  sample: Sample | undefined,
  previous: Sample | undefined,
): ContainerStats {
  const machine = totalmem();
  const used = sample ? withoutInactive(sample) : 0;
  const limit = sample ? Math.min(sample.memoryLimitBytes, machine) : 0;
  return {
    ...{ id, name, time: new Date().toISOString() },
    cpuPercent: sample && previous ? cpuPercent(sample, previous) : 0,
    cpuNanoseconds: sample?.cpuNanoseconds ?? 0,
    memoryBytes: used,
    memoryLimitBytes: limit,
    memoryPercent: limit > 0 ? (used / limit) * 100 : 0,
    networkReceivedBytes: sample?.network.received ?? 0,
    networkSentBytes: sample?.network.sent ?? 0,
    blockReadBytes: sample?.blockReadBytes ?? 0,
    blockWriteBytes: sample?.blockWriteBytes ?? 0,
    pids: sample?.pids ?? 0,
  };
}

function withoutInactive({ memoryBytes, inactiveFileBytes }: Sample): number {
  return inactiveFileBytes < memoryBytes ? memoryBytes - inactiveFileBytes : memoryBytes;
}

function cpuPercent(now: Sample, before: Sample): number {
  const own = now.cpuNanoseconds - before.cpuNanoseconds;
  const all = now.system - before.system;
  return own > 0 && all > 0 ? (own / all) * now.cpus * 100 : 0;
}
