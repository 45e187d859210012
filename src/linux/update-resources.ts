/**
 * An update of `linux.resources`: what holds afterwards, and what must be written now. Values that one file holds
 * together, or that the kernel checks against each other, are written together, the old ones with the new.
 */
import type { LinuxCPU, LinuxMemory, LinuxResources } from "./resources.ts";

export interface ResourceUpdate {
  /** The resources of the container from now on. */
  readonly merged: LinuxResources;
  /** What is written; without devices, which have files of another kind. */
  readonly effective: LinuxResources;
}

type Members = Readonly<Record<string, unknown>>;

/** Members for which 0 says nothing, as in the Go programs that send updates. */
const zeroIsUnset: ReadonlySet<string> = new Set([
  ...["limit", "reservation", "swap", "kernel", "kernelTCP"],
  ...[
    "shares",
    "quota",
    "period",
    "realtimeRuntime",
    "realtimePeriod",
    "cpus",
    "mems",
    "weight",
    "leafWeight",
  ],
]);

/** What a group really asks for. */
function asked<T extends object>(group: T | undefined): Partial<T> {
  const said = Object.entries(group ?? {}).filter(
    ([name, value]) => value !== undefined && !(zeroIsUnset.has(name) && (value === 0 || value === "")),
  );
  return Object.fromEntries(said) as Partial<T>;
}

function pick(group: Members, names: readonly string[]): Members {
  return Object.fromEntries(
    names.filter((name) => group[name] !== undefined).map((name) => [name, group[name]]),
  );
}

function touches(group: object, names: readonly string[]): boolean {
  return names.some((name) => (group as Members)[name] !== undefined);
}

const bandwidth = ["quota", "period", "burst"];
const realtime = ["realtimePeriod", "realtimeRuntime"];
const weight = ["shares", "idle"];
const memoryAndSwap = ["limit", "swap", "checkBeforeUpdate"];

/** Of an item that is in both lists the new one counts. */
function byKey<T>(old: readonly T[], patch: readonly T[], key: (item: T) => string): readonly T[] {
  const replaced = new Set(patch.map(key));
  return [...old.filter((item) => !replaced.has(key(item))), ...patch];
}

export function updateResources(old: LinuxResources, patch: LinuxResources): ResourceUpdate {
  const memory: LinuxMemory = asked(patch.memory);
  const cpu: LinuxCPU = asked(patch.cpu);
  const blockIO = asked(patch.blockIO);
  const allMemory: LinuxMemory = { ...old.memory, ...memory };
  const allCpu: LinuxCPU = { ...old.cpu, ...cpu };
  const together = (group: object, all: object, names: readonly string[], when = names) =>
    touches(group, when) ? pick(all as Members, names) : {};

  const groups = <T extends object>(name: string, value: T) =>
    Object.keys(value).length > 0 ? { [name]: value } : {};
  const merged: LinuxResources = {
    ...old,
    ...groups("memory", allMemory),
    ...groups("cpu", allCpu),
    ...groups("blockIO", { ...old.blockIO, ...blockIO }),
    ...groups("network", { ...old.network, ...patch.network }),
    ...groups("pids", { ...old.pids, ...patch.pids }),
    ...(patch.devices ? { devices: patch.devices } : {}),
    ...(patch.hugepageLimits
      ? {
          hugepageLimits: byKey(old.hugepageLimits ?? [], patch.hugepageLimits, ({ pageSize }) => pageSize),
        }
      : {}),
    ...groups("rdma", { ...old.rdma, ...patch.rdma }),
    ...groups("unified", { ...old.unified, ...patch.unified }),
  };
  const effective: LinuxResources = {
    ...groups("memory", { ...memory, ...together(memory, allMemory, memoryAndSwap, ["limit", "swap"]) }),
    ...groups("cpu", {
      ...cpu,
      ...together(cpu, allCpu, bandwidth),
      ...together(cpu, allCpu, realtime),
      ...together(cpu, allCpu, weight),
    }),
    ...groups("blockIO", blockIO),
    ...(patch.network ? { network: patch.network } : {}),
    ...(patch.pids ? { pids: patch.pids } : {}),
    ...(patch.hugepageLimits ? { hugepageLimits: patch.hugepageLimits } : {}),
    ...(patch.rdma ? { rdma: patch.rdma } : {}),
    ...(patch.unified ? { unified: patch.unified } : {}),
  };
  return { merged, effective };
}
