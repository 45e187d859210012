/** `linux.resources` of a runtime config (runtime-spec 1.3, config-linux.md "Control groups"). */
import {
  array,
  boolean,
  type Decoded,
  integer,
  object,
  oneOf,
  optional,
  pattern,
  record,
  string,
  uint32,
} from "../base/decode.ts";
import { int64Limit, uint64Limit } from "./runtime-integers.ts";

const weight = integer(0, 0xffff);
/** -1 means every number; the kernel's own limits are 12 and 20 bits. */
const deviceNumber = integer(-1, 0xffffffff);

const deviceRule = object({
  allow: boolean,
  type: optional(oneOf("a", "b", "c", "u", "p")),
  major: optional(deviceNumber),
  minor: optional(deviceNumber),
  access: optional(pattern(/^[rwm]*$/, "made of r, w and m")),
});

const throttle = object({ major: deviceNumber, minor: deviceNumber, rate: uint64Limit });

const blockIO = object({
  weight: optional(weight),
  leafWeight: optional(weight),
  weightDevice: optional(
    array(
      object({
        major: deviceNumber,
        minor: deviceNumber,
        weight: optional(weight),
        leafWeight: optional(weight),
      }),
    ),
  ),
  throttleReadBpsDevice: optional(array(throttle)),
  throttleWriteBpsDevice: optional(array(throttle)),
  throttleReadIOPSDevice: optional(array(throttle)),
  throttleWriteIOPSDevice: optional(array(throttle)),
});

const memory = object({
  limit: optional(int64Limit),
  reservation: optional(int64Limit),
  swap: optional(int64Limit),
  kernel: optional(int64Limit),
  kernelTCP: optional(int64Limit),
  swappiness: optional(integer(0, 200)),
  disableOOMKiller: optional(boolean),
  useHierarchy: optional(boolean),
  checkBeforeUpdate: optional(boolean),
});

const cpu = object({
  shares: optional(uint64Limit),
  quota: optional(int64Limit),
  burst: optional(uint64Limit),
  period: optional(uint64Limit),
  realtimeRuntime: optional(int64Limit),
  realtimePeriod: optional(uint64Limit),
  cpus: optional(pattern(/^[0-9,\- \n]*$/, "a list of CPUs")),
  mems: optional(pattern(/^[0-9,\- \n]*$/, "a list of memory nodes")),
  idle: optional(integer(-1, 1)),
});

/** A file name in a cgroup directory: nothing that could name another directory. */
const unified = (value: unknown, pointer: string) => {
  const files = record(string, 1000)(value, pointer);
  for (const name of Object.keys(files))
    pattern(/^(?!\.\.?$)[^/]+$/, "the name of a cgroup file")(name, `${pointer}/${name}`);
  return files;
};

export const linuxResources = object({
  devices: optional(array(deviceRule, 10_000)),
  memory: optional(memory),
  cpu: optional(cpu),
  pids: optional(object({ limit: optional(int64Limit) })),
  blockIO: optional(blockIO),
  hugepageLimits: optional(
    array(
      object({ pageSize: pattern(/^[1-9][0-9]*[KMG]B$/, "a page size such as 2MB"), limit: uint64Limit }),
      100,
    ),
  ),
  network: optional(
    object({
      classID: optional(uint32),
      priorities: optional(array(object({ name: string, priority: uint32 }), 10_000)),
    }),
  ),
  rdma: optional(record(object({ hcaHandles: optional(uint32), hcaObjects: optional(uint32) }), 1000)),
  unified: optional(unified),
});

export type RuntimeResources = Decoded<typeof linuxResources>;
