/** `linux.resources` for cgroup v2 (kernel documentation, admin-guide/cgroup-v2). */
import { GantryError } from "../base/error.ts";
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
  rdmaValues,
} from "./cgroup-values.ts";
import type {
  LinuxBlockIO,
  LinuxCPU,
  LinuxMemory,
  LinuxResources,
  LinuxThrottleDevice,
} from "./resources.ts";

export interface CgroupV2Options {
  readonly current?: CurrentLimits | undefined;
  /** The content of cgroup.controllers, if known: keys of `unified` are checked against it. */
  readonly availableControllers?: readonly string[];
}

/** The writes for `resources`; raw `unified` entries come last and so win. */
export function cgroupV2Values(resources: LinuxResources, options: CgroupV2Options = {}): CgroupValues {
  const out = new CgroupValuesBuilder();
  const { memory, cpu, pids, blockIO, network } = resources;
  if (cpu?.cpus) out.write("cpuset", "cpuset.cpus", cpu.cpus, "/cpu/cpus");
  if (cpu?.mems) out.write("cpuset", "cpuset.mems", cpu.mems, "/cpu/mems");
  if (memory) memoryValues(out, memory);
  if (cpu) cpuValues(out, cpu, options.current?.cpuBurst ?? 0);
  if (pids?.limit !== undefined) out.write("pids", "pids.max", limitText(pids.limit, "max"), "/pids/limit");
  if (blockIO) blockIOValues(out, blockIO);
  for (const [i, { pageSize, limit }] of (resources.hugepageLimits ?? []).entries()) {
    const pointer = `/hugepageLimits/${i}`;
    const size = hugePageSize(pageSize, pointer);
    out.write("hugetlb", `hugetlb.${size}.rsvd.max`, limit, pointer, { optional: true });
    out.write("hugetlb", `hugetlb.${size}.max`, limit, pointer);
  }
  rdmaValues(out, resources.rdma);
  out.ignore("/network/classID", isSet(network?.classID));
  out.ignore("/network/priorities", (network?.priorities ?? []).length > 0);
  for (const [key, value] of Object.entries(resources.unified ?? {})) unifiedValue(out, key, value, options);
  return out.build();
}

/** The share of swap alone, from the v1 notion of memory and swap together (runc, ConvertMemorySwapToCgroupV2Value). */
export function memorySwapV2(memory: LinuxMemory): number | undefined {
  const swap = memorySwapOf(memory);
  if (swap === undefined || swap < 0) return swap;
  if (!isSet(memory.limit))
    throw invalidResource("/memory/swap", "unable to set swap limit without memory limit");
  if (memory.limit < 0) return swap;
  if (swap < memory.limit)
    throw invalidResource("/memory/swap", "memory+swap limit should be >= memory limit");
  return swap - memory.limit;
}

function memoryValues(out: CgroupValuesBuilder, memory: LinuxMemory): void {
  checkMemory(memory);
  const swap = memorySwapV2(memory);
  if (memory.checkBeforeUpdate === true) {
    // memory.max below the usage would make the kernel kill at once
    const check = (limit: number | undefined, pointer: string) => {
      if (isSet(limit) && limit > 0)
        out.checks.push({ controller: "memory", file: "memory.current", limit, pointer });
    };
    check(memory.swap, "/memory/swap");
    check(memory.limit, "/memory/limit");
  }
  if (swap !== undefined) {
    const value = limitText(swap, "max");
    // a kernel without swap lacks the file; "no limit" and "none" then hold anyway
    const extra = value === "max" || value === "0" ? { optional: true as const } : {};
    out.write(
      "memory",
      "memory.swap.max",
      value,
      isSet(memory.swap) ? "/memory/swap" : "/memory/limit",
      extra,
    );
  }
  if (isSet(memory.limit)) out.write("memory", "memory.max", limitText(memory.limit, "max"), "/memory/limit");
  if (isSet(memory.reservation))
    out.write("memory", "memory.low", limitText(memory.reservation, "max"), "/memory/reservation");
  out.ignore("/memory/kernel", memory.kernel !== undefined);
  out.ignore("/memory/kernelTCP", memory.kernelTCP !== undefined);
  out.ignore("/memory/swappiness", memory.swappiness !== undefined);
  out.ignore("/memory/disableOOMKiller", memory.disableOOMKiller === true);
}

/**
 * cpu.shares (2 to 262144, 1024 by default) -> cpu.weight (1 to 10000, 100 by default): a quadratic in
 * the logarithm that meets minimum, default and maximum, as runc >= 1.3.2 and crun >= 1.23 have it.
 */
export function cpuWeightOfShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const l = Math.log2(shares);
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34));
}

function cpuValues(out: CgroupValuesBuilder, cpu: LinuxCPU, oldBurst: number): void {
  const idle = cpu.idle === 1;
  // the kernel refuses a weight for an idle group, so a group is woken first
  if (cpu.idle !== undefined) out.write("cpu", "cpu.idle", cpu.idle, "/cpu/idle");
  if (isSet(cpu.shares) && !idle)
    out.write("cpu", "cpu.weight", cpuWeightOfShares(cpu.shares), "/cpu/shares");
  out.ignore("/cpu/shares", isSet(cpu.shares) && idle);
  // the kernel refuses a burst above the quota: what shrinks comes first
  const writeBurst = (shrinks: boolean) => {
    if (cpu.burst !== undefined && cpu.burst < oldBurst === shrinks)
      out.write("cpu", "cpu.max.burst", cpu.burst, "/cpu/burst", { optional: true });
  };
  writeBurst(true);
  if (isSet(cpu.quota) || isSet(cpu.period)) {
    const quota = isSet(cpu.quota) && cpu.quota > 0 ? String(cpu.quota) : "max";
    const period = isSet(cpu.period) ? cpu.period : defaultCpuPeriod;
    out.write("cpu", "cpu.max", `${quota} ${period}`, isSet(cpu.quota) ? "/cpu/quota" : "/cpu/period");
  }
  writeBurst(false);
  out.ignore("/cpu/realtimePeriod", isSet(cpu.realtimePeriod));
  out.ignore("/cpu/realtimeRuntime", isSet(cpu.realtimeRuntime));
}

/** blkio weight (10 to 1000) -> io.weight (1 to 10000), linear as with runc; below 10 is the least. */
export function ioWeightOfBlkioWeight(weight: number): number {
  return Math.max(1, 1 + Math.floor(((weight - 10) * 9999) / 990));
}

/** Weights go to BFQ where it is in use, else converted to io.weight. */
function blockIOValues(out: CgroupValuesBuilder, io: LinuxBlockIO): void {
  if (isSet(io.weight))
    out.write("io", "io.bfq.weight", io.weight, "/blockIO/weight", {
      otherwise: { file: "io.weight", value: String(ioWeightOfBlkioWeight(io.weight)) },
    });
  out.ignore("/blockIO/leafWeight", isSet(io.leafWeight));
  for (const [i, { major, minor, weight }] of (io.weightDevice ?? []).entries())
    if (isSet(weight))
      out.write("io", "io.bfq.weight", `${major}:${minor} ${weight}`, `/blockIO/weightDevice/${i}`, {
        otherwise: { file: "io.weight", value: `${major}:${minor} ${ioWeightOfBlkioWeight(weight)}` },
      });
  const throttle = (key: string, field: string, devices: readonly LinuxThrottleDevice[] | undefined) => {
    for (const [i, { major, minor, rate }] of (devices ?? []).entries())
      out.write(
        "io",
        "io.max",
        `${major}:${minor} ${key}=${isSet(rate) ? rate : "max"}`,
        `/blockIO/${field}/${i}`,
      );
  };
  throttle("rbps", "throttleReadBpsDevice", io.throttleReadBpsDevice);
  throttle("wbps", "throttleWriteBpsDevice", io.throttleWriteBpsDevice);
  throttle("riops", "throttleReadIOPSDevice", io.throttleReadIOPSDevice);
  throttle("wiops", "throttleWriteIOPSDevice", io.throttleWriteIOPSDevice);
}

/** Files of the core that are no limits: by them any process of the host could be moved into the group, or all be killed. */
const forbiddenFiles = new Set(["cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "cgroup.kill"]);

/** One raw entry: the key is a file name, the value is written line by line as multi-line files want it. */
function unifiedValue(out: CgroupValuesBuilder, key: string, value: string, options: CgroupV2Options): void {
  const pointer = `/unified/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  if (key.includes("/"))
    throw invalidResource(
      pointer,
      `unified resource ${JSON.stringify(key)} must be a file name (no slashes)`,
    );
  const dot = key.indexOf(".");
  if (dot < 1)
    throw invalidResource(
      pointer,
      `unified resource ${JSON.stringify(key)} must be in the form CONTROLLER.PARAMETER`,
    );
  if (forbiddenFiles.has(key))
    throw invalidResource(pointer, `unified resource ${JSON.stringify(key)} is not a limit`);
  const controller = key.slice(0, dot);
  if (
    controller !== "cgroup" &&
    options.availableControllers &&
    !options.availableControllers.includes(controller)
  )
    throw new GantryError(
      "failed-precondition",
      `set cgroup resources: unified resource ${JSON.stringify(key)} can't be set: controller ${JSON.stringify(controller)} not available`,
      { detail: { pointer, controller } },
    );
  for (const line of value.split("\n"))
    if (line !== "" || value === "") out.write(controller, key, line, pointer);
}
