/** `linux.resources` for cgroup v1 (kernel documentation, admin-guide/cgroup-v1). */
import {
  type CgroupValues,
  CgroupValuesBuilder,
  type CurrentLimits,
  checkMemory,
  defaultCpuPeriod,
  hugePageSize,
  invalidResource,
  isSet,
  limitText,
  memorySwapOf,
  plainWord,
  rdmaValues,
} from "./cgroup-values.ts";
import type {
  LinuxBlockIO,
  LinuxCPU,
  LinuxMemory,
  LinuxResources,
  LinuxThrottleDevice,
} from "./resources.ts";

/** The writes for `resources`. A cpuset needs cpus and mems of its parent first: that is up to the caller. */
export function cgroupV1Values(resources: LinuxResources, current: CurrentLimits = {}): CgroupValues {
  const out = new CgroupValuesBuilder();
  const { memory, cpu, pids, blockIO, network } = resources;
  if (cpu) cpusetValues(out, cpu);
  if (memory) memoryValues(out, memory, current);
  if (cpu) cpuValues(out, cpu, current);
  if (pids?.limit !== undefined) out.write("pids", "pids.max", limitText(pids.limit, "max"), "/pids/limit");
  if (blockIO) blockIOValues(out, blockIO);
  for (const [i, { pageSize, limit }] of (resources.hugepageLimits ?? []).entries()) {
    const pointer = `/hugepageLimits/${i}`;
    const size = hugePageSize(pageSize, pointer);
    // reservations first: they fail early where page faults would kill (Linux 5.7)
    out.write("hugetlb", `hugetlb.${size}.rsvd.limit_in_bytes`, limit, pointer, { optional: true });
    out.write("hugetlb", `hugetlb.${size}.limit_in_bytes`, limit, pointer);
  }
  rdmaValues(out, resources.rdma);
  if (isSet(network?.classID)) out.write("net_cls", "net_cls.classid", network.classID, "/network/classID");
  for (const [i, { name, priority }] of (network?.priorities ?? []).entries()) {
    const pointer = `/network/priorities/${i}`;
    out.write(
      "net_prio",
      "net_prio.ifpriomap",
      `${plainWord(name, pointer, "interface")} ${priority}`,
      pointer,
    );
  }
  if (Object.keys(resources.unified ?? {}).length > 0)
    throw invalidResource("/unified", "invalid configuration: cannot use unified on cgroup v1");
  return out.build();
}

function cpusetValues(out: CgroupValuesBuilder, cpu: LinuxCPU): void {
  if (cpu.cpus) out.write("cpuset", "cpuset.cpus", cpu.cpus, "/cpu/cpus");
  if (cpu.mems) out.write("cpuset", "cpuset.mems", cpu.mems, "/cpu/mems");
}

/** The kernel keeps limit <= memory+swap at every moment, so what grows is written first. */
function memoryValues(out: CgroupValuesBuilder, memory: LinuxMemory, current: CurrentLimits): void {
  checkMemory(memory);
  const currentLimit = current.memoryLimit ?? Number.POSITIVE_INFINITY;
  const swap = memorySwapOf(memory);
  const writeLimit = () => {
    if (isSet(memory.limit)) out.write("memory", "memory.limit_in_bytes", memory.limit, "/memory/limit");
  };
  const writeSwap = () => {
    if (swap === undefined) return;
    // without swap accounting the file is missing; no limit is then what holds anyway
    const extra = swap < 0 ? { optional: true as const } : {};
    out.write("memory", "memory.memsw.limit_in_bytes", swap, "/memory/swap", extra);
  };
  if (swap !== undefined && isSet(memory.limit) && (swap < 0 || currentLimit < swap)) {
    writeSwap();
    writeLimit();
  } else {
    writeLimit();
    writeSwap();
  }
  if (isSet(memory.reservation))
    out.write("memory", "memory.soft_limit_in_bytes", memory.reservation, "/memory/reservation");
  const killerDisabled = current.oomKillerDisabled ?? false;
  if ((memory.disableOOMKiller ?? killerDisabled) !== killerDisabled)
    out.write("memory", "memory.oom_control", memory.disableOOMKiller ? 1 : 0, "/memory/disableOOMKiller");
  if (memory.swappiness !== undefined) {
    if (memory.swappiness > 100)
      throw invalidResource(
        "/memory/swappiness",
        `invalid memory swappiness value: ${memory.swappiness} (valid range is 0-100)`,
      );
    out.write("memory", "memory.swappiness", memory.swappiness, "/memory/swappiness");
  }
  out.ignore("/memory/kernel", memory.kernel !== undefined);
  out.ignore("/memory/kernelTCP", memory.kernelTCP !== undefined);
  // below the usage the kernel itself refuses a limit with EBUSY
}

function cpuValues(out: CgroupValuesBuilder, cpu: LinuxCPU, current: CurrentLimits): void {
  const idle = cpu.idle === 1;
  // the kernel refuses shares for an idle group, so a group is woken first
  if (cpu.idle !== undefined) out.write("cpu", "cpu.idle", cpu.idle, "/cpu/idle");
  if (isSet(cpu.shares) && !idle) out.write("cpu", "cpu.shares", cpu.shares, "/cpu/shares");
  out.ignore("/cpu/shares", isSet(cpu.shares) && idle);
  bandwidthValues(out, cpu, current);
  realtimeValues(out, cpu, current.cpuRealtimeRuntime ?? 0);
}

/** How much of a CPU that is; no quota is all of them. */
function bandwidth(quota: number, period: number): number {
  return quota < 0 ? Number.POSITIVE_INFINITY : quota / period;
}

/**
 * The kernel refuses a quota whose share of its period is above the parent's, and a burst above the quota. Of old
 * and new share neither is refused, and the smaller of the two that lie between is never above both.
 */
function bandwidthValues(out: CgroupValuesBuilder, cpu: LinuxCPU, current: CurrentLimits): void {
  const { quota = 0, period = 0, burst } = cpu;
  const oldQuota = current.cpuQuota ?? -1;
  const oldPeriod = current.cpuPeriod ?? defaultCpuPeriod;
  const writeQuota = () => {
    if (isSet(quota)) out.write("cpu", "cpu.cfs_quota_us", limitText(quota, "-1"), "/cpu/quota");
  };
  const writePeriod = () => {
    if (isSet(period)) out.write("cpu", "cpu.cfs_period_us", period, "/cpu/period");
  };
  const writeBurst = () => out.write("cpu", "cpu.cfs_burst_us", burst!, "/cpu/burst", { optional: true });
  const shrinks = burst !== undefined && burst < (current.cpuBurst ?? 0);
  if (shrinks) writeBurst();
  const quotaFirst =
    isSet(quota) &&
    isSet(period) &&
    bandwidth(quota, oldPeriod) < bandwidth(oldQuota, period) &&
    oldQuota >= 0;
  if (quotaFirst) writeQuota();
  writePeriod();
  if (!quotaFirst) writeQuota();
  if (burst !== undefined && !shrinks) writeBurst();
}

/** The runtime must fit the period at every moment. */
function realtimeValues(out: CgroupValuesBuilder, cpu: LinuxCPU, oldRuntime: number): void {
  const { realtimePeriod: period, realtimeRuntime: runtime } = cpu;
  const writePeriod = () => {
    if (isSet(period)) out.write("cpu", "cpu.rt_period_us", period, "/cpu/realtimePeriod");
  };
  const runtimeFirst = isSet(period) && isSet(runtime) && period < oldRuntime;
  if (!runtimeFirst) writePeriod();
  if (isSet(runtime)) out.write("cpu", "cpu.rt_runtime_us", runtime, "/cpu/realtimeRuntime");
  if (runtimeFirst) writePeriod();
}

/** CFQ is gone since Linux 5.0: weights are BFQ's where its files exist. */
function blockIOValues(out: CgroupValuesBuilder, io: LinuxBlockIO): void {
  if (isSet(io.weight))
    out.write("blkio", "blkio.weight", io.weight, "/blockIO/weight", {
      otherwise: { file: "blkio.bfq.weight", value: String(io.weight) },
    });
  if (isSet(io.leafWeight)) out.write("blkio", "blkio.leaf_weight", io.leafWeight, "/blockIO/leafWeight");
  for (const [i, { major, minor, weight, leafWeight }] of (io.weightDevice ?? []).entries()) {
    const pointer = `/blockIO/weightDevice/${i}`;
    if (isSet(weight)) {
      const value = `${major}:${minor} ${weight}`;
      out.write("blkio", "blkio.weight_device", value, pointer, {
        otherwise: { file: "blkio.bfq.weight_device", value },
      });
    }
    if (isSet(leafWeight))
      out.write("blkio", "blkio.leaf_weight_device", `${major}:${minor} ${leafWeight}`, pointer);
  }
  const throttle = (file: string, field: string, devices: readonly LinuxThrottleDevice[] | undefined) => {
    for (const [i, { major, minor, rate }] of (devices ?? []).entries())
      out.write("blkio", file, `${major}:${minor} ${rate ?? 0}`, `/blockIO/${field}/${i}`);
  };
  throttle("blkio.throttle.read_bps_device", "throttleReadBpsDevice", io.throttleReadBpsDevice);
  throttle("blkio.throttle.write_bps_device", "throttleWriteBpsDevice", io.throttleWriteBpsDevice);
  throttle("blkio.throttle.read_iops_device", "throttleReadIOPSDevice", io.throttleReadIOPSDevice);
  throttle("blkio.throttle.write_iops_device", "throttleWriteIOPSDevice", io.throttleWriteIOPSDevice);
}
