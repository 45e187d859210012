/** What the living cgroups of a container have now, for the order in which new limits are written. */
import type { CurrentLimits } from "../linux/cgroup-values.ts";
import type { CgroupPlaces } from "../linux/place-resources.ts";
import { cgroupFor } from "../plan/compile/living-cgroups.ts";
import { readCgroupFile, readCgroupNumber } from "./cgroup-files.ts";
import type { StateCgroup } from "./state-directory.ts";

export function readPlaces(cgroups: readonly StateCgroup[]): CgroupPlaces {
  const v2 = cgroupFor(cgroups, 2, "");
  const words = (text: string) => text.split(/\s+/).filter((word) => word !== "");
  return {
    v1: new Set(cgroups.flatMap(({ controllers }) => controllers ?? [])),
    v2: v2 && words(readCgroupFile(v2, "cgroup.controllers") ?? ""),
  };
}

export function readCurrentLimits(cgroups: readonly StateCgroup[]): CurrentLimits {
  const cpu = cgroupFor(cgroups, 1, "cpu");
  const memory = cgroupFor(cgroups, 1, "memory");
  const unified = cgroupFor(cgroups, 2, "cpu");
  const killer = memory && readCgroupFile(memory, "memory.oom_control");
  return {
    memoryLimit: readCgroupNumber(memory, "memory.limit_in_bytes"),
    cpuQuota: readCgroupNumber(cpu, "cpu.cfs_quota_us"),
    cpuPeriod: readCgroupNumber(cpu, "cpu.cfs_period_us"),
    cpuBurst: cpu ? readCgroupNumber(cpu, "cpu.cfs_burst_us") : readCgroupNumber(unified, "cpu.max.burst"),
    cpuRealtimeRuntime: readCgroupNumber(cpu, "cpu.rt_runtime_us"),
    oomKillerDisabled: killer?.startsWith("oom_kill_disable 1"),
  };
}
