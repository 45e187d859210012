/**
 * `linux.resources` -> properties of a unit (systemd.resource-control(5), org.freedesktop.systemd1(5)). Whatever
 * systemd knows it is told: it writes the files of its units again when it reloads, and would put its defaults in
 * the place of limits that it has not heard of. The files are written besides, since not all can be said here.
 *
 * Values are as runc has them for the same resources.
 */
import { cpuWeightOfShares, ioWeightOfBlkioWeight, memorySwapV2 } from "./cgroup-v2-values.ts";
import { invalidResource, isSet } from "./cgroup-values.ts";
import type { LinuxBlockIO, LinuxCPU, LinuxResources, LinuxThrottleDevice } from "./resources.ts";
import { cpuSetBytes } from "./systemd-cpu-set.ts";

/** Name, D-Bus type and value: bigint for t, whatever else a D-Bus value is. */
export interface UnitProperty {
  readonly name: string;
  readonly signature: string;
  readonly value: PropertyValue;
}

export type PropertyValue = number | bigint | boolean | string | readonly PropertyValue[];

/** "infinity" of sizes, counts and times. */
const infinity = (1n << 64n) - 1n;

const quotaPeriodUs = 100_000;

/** Oldest systemd that has the property, where it is younger than 240. */
const since = { cpuQuotaPeriod: 242, allowedCpus: 244, cpuIdle: 252, oomPolicy: 253 } as const;

const u64 = (name: string, value: bigint): UnitProperty => ({ name, signature: "t", value });
const limit = (name: string, value: number) => u64(name, value < 0 ? infinity : BigInt(value));
const flag = (name: string): UnitProperty => ({ name, signature: "b", value: true });

/** What every container's unit has: a tree of its own, everything counted, no order against the shutdown. */
export function commonProperties(
  unit: { readonly kind: "scope" | "slice"; readonly slice: string },
  description: string,
  pid: number,
): readonly UnitProperty[] {
  const text = (name: string, value: string): UnitProperty => ({ name, signature: "s", value });
  return [
    text("Description", description),
    ...(unit.kind === "slice"
      ? [{ name: "Wants", signature: "as", value: [unit.slice] }]
      : [text("Slice", unit.slice), flag("Delegate"), { name: "PIDs", signature: "au", value: [pid] }]),
    ...["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"].map(flag),
    { name: "DefaultDependencies", signature: "b", value: false },
    // one that failed, say because its process was gone when it started, leaves nothing behind either
    text("CollectMode", "inactive-or-failed"),
  ];
}

/** Limits, for a new unit as well as for one that is there. `version` is systemd's. */
export function resourceProperties(resources: LinuxResources, version: number): readonly UnitProperty[] {
  const { memory, cpu, pids, blockIO, unified } = resources;
  const properties: UnitProperty[] = [];
  if (isSet(memory?.limit)) properties.push(limit("MemoryMax", memory.limit));
  if (isSet(memory?.reservation)) properties.push(limit("MemoryLow", memory.reservation));
  const swap = memory && memorySwapV2(memory);
  if (swap !== undefined) properties.push(limit("MemorySwapMax", swap));
  if (cpu) properties.push(...cpuProperties(cpu, version));
  // systemd takes no limit of none at all
  if (pids?.limit !== undefined) properties.push(limit("TasksMax", pids.limit === 0 ? 1 : pids.limit));
  if (blockIO) properties.push(...ioProperties(blockIO));
  properties.push(...unifiedProperties(unified ?? {}, version));
  // the last of a name wins, as it does with the files
  return properties.filter(
    ({ name }, index) => !properties.some((other, later) => later > index && other.name === name),
  );
}

/** What can be said of a new unit only: systemd writes memory.oom.group itself, again and again. */
export function oomProperties({ unified }: LinuxResources, version: number): readonly UnitProperty[] {
  const group = unified?.["memory.oom.group"]?.trim();
  if (group === undefined || version < since.oomPolicy) return [];
  return [{ name: "OOMPolicy", signature: "s", value: group === "1" ? "kill" : "continue" }];
}

/** Protections of memory; everything else that is a number is unlimited, or has its default, at infinity. */
const zeroByDefault = new Set(["MemoryMin", "MemoryLow"]);

/**
 * What a unit must be told that goes from some limits to others: what there is no more goes back to its default, and
 * a list is emptied first, since what systemd is told is added to it.
 */
export function changedProperties(
  from: readonly UnitProperty[],
  to: readonly UnitProperty[],
): readonly UnitProperty[] {
  const emptied = (property: UnitProperty): UnitProperty => ({ ...property, value: [] });
  const gone = from.filter(({ name }) => !to.some((other) => other.name === name));
  return [
    ...gone.map((property) =>
      property.signature === "t"
        ? u64(property.name, zeroByDefault.has(property.name) ? 0n : infinity)
        : emptied(property),
    ),
    ...to.flatMap((property) =>
      property.signature.startsWith("a(") ? [emptied(property), property] : [property],
    ),
  ];
}

function cpuProperties(cpu: LinuxCPU, version: number): readonly UnitProperty[] {
  const properties: UnitProperty[] = [];
  // a weight of 0 is systemd's word for an idle group
  if (cpu.idle === 1 && version >= since.cpuIdle) properties.push(u64("CPUWeight", 0n));
  else if (isSet(cpu.shares)) properties.push(u64("CPUWeight", BigInt(cpuWeightOfShares(cpu.shares))));
  properties.push(...quotaProperties(cpu.quota, cpu.period, version));
  if (cpu.cpus) properties.push(...cpuSet("AllowedCPUs", cpu.cpus, "/cpu/cpus", version));
  if (cpu.mems) properties.push(...cpuSet("AllowedMemoryNodes", cpu.mems, "/cpu/mems", version));
  return properties;
}

function quotaProperties(
  quota: number | undefined,
  period: number | undefined,
  version: number,
): readonly UnitProperty[] {
  if (!isSet(quota) && !isSet(period)) return [];
  const properties: UnitProperty[] = [];
  if (isSet(period) && version >= since.cpuQuotaPeriod)
    properties.push(u64("CPUQuotaPeriodUSec", BigInt(period)));
  let perSecond = infinity;
  if (isSet(quota) && quota > 0) {
    // systemd counts in percents of a processor: rounded up, so that what is asked for can be had
    const percent = 10_000n;
    const exact = (BigInt(quota) * 1_000_000n) / BigInt(period || quotaPeriodUs);
    perSecond = ((exact + percent - 1n) / percent) * percent;
  }
  properties.push(u64("CPUQuotaPerSecUSec", perSecond));
  return properties;
}

function cpuSet(name: string, list: string, pointer: string, version: number): readonly UnitProperty[] {
  return version < since.allowedCpus ? [] : [{ name, signature: "ay", value: cpuSetBytes(list, pointer) }];
}

function ioProperties(io: LinuxBlockIO): readonly UnitProperty[] {
  const properties: UnitProperty[] = [];
  const node = ({ major, minor }: { readonly major: number; readonly minor: number }) =>
    `/dev/block/${major}:${minor}`;
  if (isSet(io.weight)) properties.push(u64("IOWeight", BigInt(ioWeightOfBlkioWeight(io.weight))));
  const weights = (io.weightDevice ?? []).flatMap((device) =>
    isSet(device.weight) ? [[node(device), BigInt(ioWeightOfBlkioWeight(device.weight))]] : [],
  );
  if (weights.length > 0) properties.push({ name: "IODeviceWeight", signature: "a(st)", value: weights });
  const throttle = (name: string, devices: readonly LinuxThrottleDevice[] | undefined) => {
    const value = (devices ?? []).map((device) => [
      node(device),
      isSet(device.rate) ? BigInt(device.rate) : infinity,
    ]);
    if (value.length > 0) properties.push({ name, signature: "a(st)", value });
  };
  throttle("IOReadBandwidthMax", io.throttleReadBpsDevice);
  throttle("IOWriteBandwidthMax", io.throttleWriteBpsDevice);
  throttle("IOReadIOPSMax", io.throttleReadIOPSDevice);
  throttle("IOWriteIOPSMax", io.throttleWriteIOPSDevice);
  return properties;
}

const unifiedSizes: Readonly<Record<string, string>> = {
  "memory.min": "MemoryMin",
  "memory.low": "MemoryLow",
  "memory.high": "MemoryHigh",
  "memory.max": "MemoryMax",
  "memory.swap.max": "MemorySwapMax",
  "pids.max": "TasksMax",
  "cpu.weight": "CPUWeight",
};

/** Raw files that have a property; those that have none are written as files alone. */
function unifiedProperties(
  unified: Readonly<Record<string, string>>,
  version: number,
): readonly UnitProperty[] {
  const idle = unified["cpu.idle"]?.trim() === "1" && version >= since.cpuIdle;
  return Object.entries(unified).flatMap(([file, text]): readonly UnitProperty[] => {
    const value = text.trim();
    const pointer = `/unified/${file}`;
    const size = unifiedSizes[file];
    if (file === "cpu.idle") return idle ? [u64("CPUWeight", 0n)] : [];
    if (file === "cpu.weight" && idle) return [];
    if (size !== undefined) return [u64(size, sizeOf(size, value, pointer))];
    if (file === "cpuset.cpus" && value !== "") return cpuSet("AllowedCPUs", value, pointer, version);
    if (file === "cpuset.mems" && value !== "") return cpuSet("AllowedMemoryNodes", value, pointer, version);
    if (file === "cpu.max") {
      const [quota = "", period, ...more] = value.split(/\s+/);
      if (more.length > 0 || !/^(max|\d{1,15})$/.test(quota) || !/^\d{1,15}$/.test(period ?? "0"))
        throw invalidResource(pointer, `unified resource "cpu.max" value invalid: ${JSON.stringify(value)}`);
      const unlimited = quota === "max" ? -1 : Number(quota);
      return quotaProperties(unlimited, period === undefined ? quotaPeriodUs : Number(period), version);
    }
    const weight = file === "io.weight" ? /^(?:default )?(\d{1,5})$/.exec(value)?.[1] : undefined;
    return weight === undefined ? [] : [u64("IOWeight", BigInt(weight))];
  });
}

/** What systemd refuses to set to 0; the file says it all the same. */
const atLeastOne = new Set(["MemoryMax", "MemoryHigh", "TasksMax", "CPUWeight"]);

function sizeOf(name: string, text: string, pointer: string): bigint {
  if (text === "max") return infinity;
  // the kernel takes suffixes as well (memparse); systemd is told the number
  const [, digits, suffix = ""] = /^(\d{1,20})([KMGTPE]?)$/i.exec(text) ?? [];
  if (digits === undefined)
    throw invalidResource(pointer, `unified resource value conversion error: ${JSON.stringify(text)}`);
  const steps = suffix === "" ? 0 : "KMGTPE".indexOf(suffix.toUpperCase()) + 1;
  const size = BigInt(digits) << BigInt(10 * steps);
  if (size === 0n && atLeastOne.has(name)) return 1n;
  return size > infinity ? infinity : size;
}
