/** Options for limits, which `update` has as well as run and create. */

import type { BlockDeviceOption, ResourceOptions } from "../../bundle/container-options.ts";
import { parseMemory } from "../format/units.ts";
import { list, parsed, type ValuesOf, whole } from "../options.ts";
import { parseCpuList, parseCpus, parseDeviceRate, parseDeviceWeight, parseMemorySwap } from "./limits.ts";

const bytes = (help: string, options: { short?: string } = {}) => parsed(help, "bytes", parseMemory, options);
const ofDevice = (help: string, key: keyof BlockDeviceOption, sizes: boolean) =>
  list(help, { parse: (given: string) => parseDeviceRate(given, key, sizes) });

export const limitOptions = {
  "blkio-weight": whole("Block IO (relative weight), between 10 and 1000, or 0 to disable", {
    min: 0,
    max: 65535,
  }),
  "blkio-weight-device": list("Block IO weight (relative device weight): /dev/sda:200", {
    parse: parseDeviceWeight,
  }),
  "cpu-period": whole("Limit CPU CFS (Completely Fair Scheduler) period, in microseconds"),
  "cpu-quota": whole("Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds"),
  "cpu-rt-period": whole("Limit CPU real-time period in microseconds", { min: 0 }),
  "cpu-rt-runtime": whole("Limit CPU real-time runtime in microseconds", { min: 0 }),
  "cpu-shares": whole("CPU shares (relative weight)", { short: "c", min: 0 }),
  cpus: parsed("Number of CPUs", "decimal", parseCpus),
  "cpuset-cpus": parsed("CPUs in which to allow execution (0-3, 0,1)", "string", parseCpuList),
  "cpuset-mems": parsed("MEMs in which to allow execution (0-3, 0,1)", "string", parseCpuList),
  "device-read-bps": ofDevice(
    "Limit read rate (bytes per second) from a device: /dev/sda:1mb",
    "readBps",
    true,
  ),
  "device-read-iops": ofDevice("Limit read rate (IO per second) from a device", "readIops", false),
  "device-write-bps": ofDevice("Limit write rate (bytes per second) to a device", "writeBps", true),
  "device-write-iops": ofDevice("Limit write rate (IO per second) to a device", "writeIops", false),
  "kernel-memory": parsed("Accepted; kernels no longer have this limit", "bytes", parseMemory, {
    hidden: true,
  }),
  memory: bytes("Memory limit", { short: "m" }),
  "memory-reservation": bytes("Memory soft limit"),
  "memory-swap": parsed(
    "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
    "bytes",
    parseMemorySwap,
  ),
  "memory-swappiness": whole("Tune container memory swappiness (0 to 100)", { min: -1 }),
  "pids-limit": whole("Tune container pids limit (set -1 for unlimited)", { min: -1 }),
};

export function resourceRequest(values: ValuesOf<typeof limitOptions>): ResourceOptions {
  const devices = [
    ...values["blkio-weight-device"],
    ...values["device-read-bps"],
    ...values["device-read-iops"],
    ...values["device-write-bps"],
    ...values["device-write-iops"],
  ];
  return {
    memoryBytes: values.memory,
    memorySwapBytes: values["memory-swap"],
    memoryReservationBytes: values["memory-reservation"],
    memorySwappiness: values["memory-swappiness"],
    cpus: values.cpus,
    cpuShares: values["cpu-shares"],
    cpuPeriodUs: values["cpu-period"],
    cpuQuotaUs: values["cpu-quota"],
    cpuRealtimePeriodUs: values["cpu-rt-period"],
    cpuRealtimeRuntimeUs: values["cpu-rt-runtime"],
    cpusetCpus: values["cpuset-cpus"],
    cpusetMems: values["cpuset-mems"],
    pidsLimit: values["pids-limit"],
    blkioWeight: values["blkio-weight"],
    blockDevices: devices.length > 0 ? byPath(devices) : undefined,
  };
}

/** One entry a device, of all that was said of it. */
function byPath(devices: readonly BlockDeviceOption[]): readonly BlockDeviceOption[] {
  const merged = new Map<string, BlockDeviceOption>();
  for (const device of devices) merged.set(device.path, { ...merged.get(device.path), ...device });
  return [...merged.values()];
}
