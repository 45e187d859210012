/** Limits: options -> `linux.resources` and `process.rlimits`. */
import { GantryError } from "../base/error.ts";
import { dockerDeviceRules } from "../linux/devices.ts";
import { parseRlimit, rlimInfinity } from "../linux/rlimits.ts";
import type { RuntimeProcess } from "../spec/runtime-process.ts";
import type { RuntimeResources } from "../spec/runtime-resources.ts";
import type { ContainerOptions } from "./container-options.ts";

/** Docker's smallest memory limit. */
const smallestMemory = 6 * 1024 * 1024;
/** The period of the scheduler's bandwidth control that `cpus` is a fraction of. */
const cpuPeriodUs = 100_000;

function invalid(message: string): never {
  throw new GantryError("invalid-argument", message);
}

function memoryOf(options: ContainerOptions, swapLimit: boolean): RuntimeResources["memory"] {
  const { memoryBytes, memorySwapBytes, memoryReservationBytes } = options;
  if (memoryBytes !== undefined && memoryBytes > 0 && memoryBytes < smallestMemory)
    invalid("Minimum memory limit allowed is 6MB");
  if (memorySwapBytes !== undefined && memorySwapBytes > 0 && !memoryBytes)
    invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  if (memoryBytes && memorySwapBytes !== undefined && memorySwapBytes > 0 && memorySwapBytes < memoryBytes)
    invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  const swap = memoryBytes ? memorySwapBytes || memoryBytes * 2 : memorySwapBytes;
  const memory = {
    ...(memoryBytes ? { limit: memoryBytes } : {}),
    ...(swap && swapLimit ? { swap } : {}),
    ...(memoryReservationBytes ? { reservation: memoryReservationBytes } : {}),
  };
  return Object.keys(memory).length > 0 ? memory : undefined;
}

function cpuOf(options: ContainerOptions, cpuCount = Number.MAX_SAFE_INTEGER): RuntimeResources["cpu"] {
  const { cpus, cpuShares, cpusetCpus, cpusetMems } = options;
  if (cpus !== undefined && cpus !== 0 && !(cpus >= 0.01 && cpus <= cpuCount))
    invalid(
      `range of CPUs is from 0.01 to ${cpuCount.toFixed(2)}, as there are only ${cpuCount} CPUs available`,
    );
  const cpu = {
    ...(cpus ? { period: cpuPeriodUs, quota: Math.round(cpus * cpuPeriodUs) } : {}),
    ...(cpuShares ? { shares: cpuShares } : {}),
    ...(cpusetCpus ? { cpus: cpusetCpus } : {}),
    ...(cpusetMems ? { mems: cpusetMems } : {}),
  };
  return Object.keys(cpu).length > 0 ? cpu : undefined;
}

/** `swapLimit`: whether the kernel can limit swap. `cpuCount`: of the machine. */
export function containerResources(
  options: ContainerOptions,
  { swapLimit, cpuCount }: { readonly swapLimit: boolean; readonly cpuCount?: number | undefined },
): RuntimeResources {
  const memory = memoryOf(options, swapLimit);
  const cpu = cpuOf(options, cpuCount);
  const { pidsLimit } = options;
  return {
    devices: (options.privileged
      ? [{ allow: true, access: "rwm" }]
      : dockerDeviceRules) as RuntimeResources["devices"] & {},
    ...(memory ? { memory } : {}),
    ...(cpu ? { cpu } : {}),
    ...(pidsLimit !== undefined && pidsLimit > 0 ? { pids: { limit: pidsLimit } } : {}),
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
