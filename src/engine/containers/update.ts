/** New limits for a container: for the run that it is in, and for every later one. */
import { writeFileSync } from "node:fs";
import { GantryError, isGantryError, wrapErrno } from "../../base/error.ts";
import type { ContainerOptions, ResourceOptions } from "../../bundle/container-options.ts";
import { containerResources } from "../../bundle/resources.ts";
import { runPlan } from "../../launch/launch.ts";
import { placeResources } from "../../linux/place-resources.ts";
import { updateResources } from "../../linux/update-resources.ts";
import { readCgroupFile } from "../../oci/cgroup-files.ts";
import { readCurrentLimits, readPlaces } from "../../oci/current-limits.ts";
import { checkUsage, explainRefusal } from "../../oci/limit-refusal.ts";
import { atResources } from "../../plan/compile/cgroup-limits.ts";
import { compileUpdate } from "../../plan/compile/update.ts";
import { exactJson } from "../../spec/runtime-integers.ts";
import type { RuntimeResources } from "../../spec/runtime-resources.ts";
import { taskState } from "../../tasks/task-state.ts";
import { bundleHost } from "../bundle-host.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { containerCgroups, isFrozen } from "./container-cgroups.ts";
import { endMarker } from "./container-plan.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { containerAttributes } from "./event-attributes.ts";
import { settleLocked } from "./observe.ts";
import type { RestartPolicy } from "./restart-policy.ts";
import { changeRuntimeConfigs, readRuntimeConfig } from "./runtime-config-file.ts";

/** What is left out, or 0, stays as it is; for `pidsLimit` 0 and -1 take the limit away. */
export interface UpdateRequest extends ResourceOptions {
  readonly restartPolicy?: RestartPolicy | undefined;
}

interface Cancellable {
  readonly signal?: AbortSignal;
}

/** All of it or none: what the kernel refuses is undone, and nothing of it is kept. */
export async function updateContainer(
  internals: Internals,
  id: string,
  request: UpdateRequest,
  options: Cancellable = {},
): Promise<void> {
  using _ = await lockContainer(internals, id, options);
  const record = await settleLocked(internals, id);
  if (!record) throw noSuchContainer(id);
  try {
    await updateLocked(internals, record, request, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    // what no container could have is told as it is
    if (!isGantryError(error) || error.code === "invalid-argument") throw error;
    throw new GantryError(error.code, `Cannot update container ${id}: ${error.message}`, {
      detail: { ...error.detail, id },
      cause: error,
    });
  }
  internals.events.append("container", "update", id, containerAttributes(record));
}

async function updateLocked(
  internals: Internals,
  record: ContainerRecord,
  { restartPolicy, ...request }: UpdateRequest,
  options: Cancellable,
): Promise<void> {
  const { containers } = internals;
  const { id } = record;
  if (restartPolicy && restartPolicy.name !== "no" && record.autoRemove)
    conflict("Restart policy cannot be updated because AutoRemove is enabled for the container");
  const merged = mergedOptions(record.options, request);
  // devices are not looked for again
  const { devices: _d, cdiDevices: _c, gpus: _g, privileged: _p, deviceCgroupRules: _r, ...limits } = merged;
  const wanted = containerResources(limits, bundleHost(internals.hostFacts(), limits));
  const runtimeConfig = readRuntimeConfig(internals, id);
  const old = runtimeConfig.linux?.resources ?? {};
  const patch = changesOf(old, wanted);
  const resources = updateResources(old, patch);
  if (Object.keys(patch).length > 0) {
    const task = taskState(containers.stateDirectory(id));
    if (record.startedInBoot && task.kind === "running") {
      const cgroups = containerCgroups(internals, task.start);
      const { writes, checks } = atResources(() =>
        placeResources(readPlaces(cgroups), resources.effective, readCurrentLimits(cgroups)),
      );
      checkUsage(cgroups, checks);
      const frozen = isFrozen(internals, task.start);
      const plan = compileUpdate({ cgroups, writes, before: readCgroupFile, frozen });
      try {
        if (record.runtime) {
          const { updateForeign } = await import("./foreign-runtime.ts");
          await updateForeign(internals, record, resources.effective, plan, options);
        } else if (plan.host.length > 0) await runPlan(plan, { executor: internals.executor(), ...options });
      } catch (error) {
        throw explainRefusal(error, cgroups, patch);
      }
    }
    changeRuntimeConfigs(internals, id, (config) => {
      const { merged: changed } = updateResources(config.linux?.resources ?? {}, patch);
      return { ...config, linux: { ...config.linux, resources: changed as RuntimeResources } };
    });
  }
  const runs = record.startedInBoot && taskState(containers.stateDirectory(id)).kind === "running";
  if (restartPolicy && runs) askAtEnd(internals, id);
  const changed = { ...record, options: merged };
  containers.write(restartPolicy ? { ...changed, restartPolicy } : changed);
}

/** The shim of the run that it is in may have been started without a word of what is to be decided at its end. */
function askAtEnd(internals: Internals, id: string): void {
  const path = endMarker(internals, id);
  try {
    writeFileSync(path, "");
  } catch (error) {
    throw wrapErrno(error, "write", path);
  }
}

function conflict(message: string): never {
  throw new GantryError("failed-precondition", message);
}

/** The options of the container with the request over them, by docker's rules of what may change without the rest. */
function mergedOptions(old: ContainerOptions, request: ResourceOptions): ContainerOptions {
  const given = Object.fromEntries(
    Object.entries(request).filter(
      ([name, value]) => value !== undefined && value !== "" && (value !== 0 || name === "pidsLimit"),
    ),
  ) as ResourceOptions;
  if (given.cpus && old.cpuPeriodUs)
    conflict("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set");
  if (given.cpus && old.cpuQuotaUs)
    conflict("Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set");
  if (given.cpuPeriodUs && old.cpus)
    conflict("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set");
  if (given.cpuQuotaUs && old.cpus)
    conflict("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
  // the limit of memory and swap together stays what it is, and with it what is left for swap changes
  const swap = old.memorySwapBytes || (old.memoryBytes ? old.memoryBytes * 2 : 0);
  if (given.memoryBytes && !given.memorySwapBytes && swap > 0 && given.memoryBytes > swap)
    conflict(
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    );
  return {
    ...old,
    ...(given.memoryBytes && swap !== 0 ? { memorySwapBytes: swap } : {}),
    ...given,
    ...(given.blockDevices ? { blockDevices: mergedDevices(old, given.blockDevices) } : {}),
  };
}

function mergedDevices(old: ContainerOptions, given: ResourceOptions["blockDevices"] & {}) {
  const devices = new Map((old.blockDevices ?? []).map((device) => [device.path, device]));
  for (const device of given) devices.set(device.path, { ...devices.get(device.path), ...device });
  return [...devices.values()];
}

/** What is to change; a limit of processes that is to go is one of -1. */
function changesOf(old: RuntimeResources, wanted: RuntimeResources): RuntimeResources {
  const group = (name: "memory" | "cpu" | "blockIO") => {
    const before = (old[name] ?? {}) as Readonly<Record<string, unknown>>;
    const changed = Object.entries(wanted[name] ?? {}).filter(
      ([member, value]) => exactJson(value) !== exactJson(before[member]),
    );
    return changed.length > 0 ? { [name]: Object.fromEntries(changed) } : {};
  };
  const pids = wanted.pids?.limit ?? -1;
  return {
    ...group("memory"),
    ...group("cpu"),
    ...group("blockIO"),
    ...(pids === (old.pids?.limit ?? -1) ? {} : { pids: { limit: pids } }),
  };
}
