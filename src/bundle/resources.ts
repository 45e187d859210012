/** Limits: options -> `linux.resources` and `process.rlimits`. */
import { GantryError } from "../base/error.ts";
import { dockerDeviceRules } from "../linux/devices.ts";
import { parseRlimit, rlimInfinity } from "../linux/rlimits.ts";
import type { RuntimeProcess } from "../spec/runtime-process.ts";
import type { RuntimeResources } from "../spec/runtime-resources.ts";
import type { ContainerOptions } from "./container-options.ts";
import { deviceRulesOf, type FoundDevice } from "./devices.ts";

/** Docker's smallest memory limit. */
const smallestMemory = 6 * 1024 * 1024;
/** The period of the scheduler's bandwidth control that `cpus` is a fraction of. */
const schedulerPeriodUs = 100_000;

function invalid(message: string): never {
  throw new GantryError("invalid-argument", message);
}

function memoryOf(options: ContainerOptions, swapLimit: boolean): RuntimeResources["memory"] {
  const { memoryBytes, memorySwapBytes, memoryReservationBytes, memorySwappiness, oomKillDisable } = options;
  if (memoryBytes !== undefined && memoryBytes > 0 && memoryBytes < smallestMemory)
    invalid("Minimum memory limit allowed is 6MB");
  if (memorySwapBytes !== undefined && memorySwapBytes > 0 && !memoryBytes)
    invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  if (memoryBytes && memorySwapBytes !== undefined && memorySwapBytes > 0 && memorySwapBytes < memoryBytes)
    invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  if (memorySwappiness !== undefined && !(memorySwappiness >= -1 && memorySwappiness <= 100))
    invalid(`Invalid value: ${memorySwappiness}, valid memory swappiness range is 0-100`);
  if (memoryReservationBytes && memoryReservationBytes < smallestMemory)
    invalid("Minimum memory reservation allowed is 6MB");
  if (memoryBytes && memoryReservationBytes && memoryBytes < memoryReservationBytes)
    invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
  const swap = memoryBytes ? memorySwapBytes || memoryBytes * 2 : memorySwapBytes;
  const memory = {
    ...(memoryBytes ? { limit: memoryBytes } : {}),
    ...(swap && swapLimit ? { swap } : {}),
    ...(memoryReservationBytes ? { reservation: memoryReservationBytes } : {}),
    ...(memorySwappiness !== undefined && memorySwappiness >= 0 ? { swappiness: memorySwappiness } : {}),
    ...(oomKillDisable === undefined ? {} : { disableOOMKiller: oomKillDisable }),
  };
  return Object.keys(memory).length > 0 ? memory : undefined;
}

function cpuOf(options: ContainerOptions, cpuCount = Number.MAX_SAFE_INTEGER): RuntimeResources["cpu"] {
  const { cpus, cpuShares, cpusetCpus, cpusetMems, cpuPeriodUs, cpuQuotaUs } = options;
  const { cpuRealtimePeriodUs, cpuRealtimeRuntimeUs } = options;
  if (cpus !== undefined && cpus !== 0 && !(cpus >= 0.01 && cpus <= cpuCount))
    invalid(
      `range of CPUs is from 0.01 to ${cpuCount.toFixed(2)}, as there are only ${cpuCount} CPUs available`,
    );
  if (cpus && cpuPeriodUs) invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (cpus && cpuQuotaUs) invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (cpuPeriodUs && (cpuPeriodUs < 1000 || cpuPeriodUs > 1_000_000))
    invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  if (cpuQuotaUs && cpuQuotaUs > 0 && cpuQuotaUs < 1000)
    invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if (cpuRealtimePeriodUs && cpuRealtimeRuntimeUs && cpuRealtimeRuntimeUs > cpuRealtimePeriodUs)
    invalid("cpu real-time runtime cannot be higher than cpu real-time period");
  const cpu = {
    ...(cpus ? { period: schedulerPeriodUs, quota: Math.round(cpus * schedulerPeriodUs) } : {}),
    ...(cpuPeriodUs ? { period: cpuPeriodUs } : {}),
    ...(cpuQuotaUs ? { quota: cpuQuotaUs } : {}),
    ...(cpuRealtimePeriodUs ? { realtimePeriod: cpuRealtimePeriodUs } : {}),
    ...(cpuRealtimeRuntimeUs ? { realtimeRuntime: cpuRealtimeRuntimeUs } : {}),
    ...(cpuShares ? { shares: cpuShares } : {}),
    ...(cpusetCpus ? { cpus: cpusetCpus } : {}),
    ...(cpusetMems ? { mems: cpusetMems } : {}),
  };
  return Object.keys(cpu).length > 0 ? cpu : undefined;
}

/** 10 to 1000, or 0 for none of its own. */
function checkWeight(weight: number | undefined): void {
  if (weight && (weight < 10 || weight > 1000)) invalid("Range of blkio weight is from 10 to 1000");
}

function blockIOOf(
  { blkioWeight, blockDevices = [] }: ContainerOptions,
  numbers: ReadonlyMap<string, DeviceNumber>,
): RuntimeResources["blockIO"] {
  checkWeight(blkioWeight);
  const place = (path: string) => {
    const found = numbers.get(path) ?? invalid(`no such device: ${path}`);
    return { major: found.major, minor: found.minor };
  };
  const rates = (key: "readBps" | "writeBps" | "readIops" | "writeIops") => {
    const limited = blockDevices.filter((device) => device[key]);
    return limited.map((device) => ({ ...place(device.path), rate: device[key]! }));
  };
  const weighed = blockDevices.filter(({ weight }) => weight);
  for (const { weight } of weighed) checkWeight(weight);
  const lists = {
    weightDevice: weighed.map(({ path, weight }) => ({ ...place(path), weight: weight! })),
    throttleReadBpsDevice: rates("readBps"),
    throttleWriteBpsDevice: rates("writeBps"),
    throttleReadIOPSDevice: rates("readIops"),
    throttleWriteIOPSDevice: rates("writeIops"),
  };
  const blockIO = {
    ...(blkioWeight ? { weight: blkioWeight } : {}),
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
  };
  return Object.keys(blockIO).length > 0 ? blockIO : undefined;
}

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

export interface ResourceHost {
  /** Whether the kernel can limit swap. */
  readonly swapLimit: boolean;
  /** CPUs of the machine. */
  readonly cpuCount?: number | undefined;
  /** Devices of the options. */
  readonly foundDevices?: readonly FoundDevice[] | undefined;
  /** Block devices of the options, by path. */
  readonly blockDevices?: ReadonlyMap<string, DeviceNumber> | undefined;
}

export function containerResources(options: ContainerOptions, host: ResourceHost): RuntimeResources {
  const memory = memoryOf(options, host.swapLimit);
  const cpu = cpuOf(options, host.cpuCount);
  const blockIO = blockIOOf(options, host.blockDevices ?? new Map());
  const { pidsLimit } = options;
  return {
    devices: [
      ...(options.privileged ? [{ allow: true, access: "rwm" }] : dockerDeviceRules),
      ...deviceRulesOf(options, host.foundDevices ?? []),
    ] as RuntimeResources["devices"] & {},
    ...(memory ? { memory } : {}),
    ...(cpu ? { cpu } : {}),
    ...(pidsLimit !== undefined && pidsLimit > 0 ? { pids: { limit: pidsLimit } } : {}),
    ...(blockIO ? { blockIO } : {}),
  };
}

export function containerRlimits(options: ContainerOptions): RuntimeProcess["rlimits"] & {} {
  const value = (number: number) => (number < 0 ? rlimInfinity : number);
  return (options.ulimits ?? []).map(({ name, soft, hard }) => {
    const type = parseRlimit(name) ?? invalid(`invalid ulimit type: ${name}`);
    if (hard >= 0 && (soft < 0 || soft > hard))
      invalid(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
    return { type, soft: value(soft), hard: value(hard) };
  });
}
