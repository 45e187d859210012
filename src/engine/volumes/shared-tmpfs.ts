/**
 * A volume whose driver mounts a tmpfs is one file system for all who use it at a time, as with docker. It is mounted
 * nowhere on the host: the first container that runs makes it, the next ones take it from the shim of one that has it,
 * and it goes with the last. So there is nothing to be removed, whoever is killed.
 */
import { isGantryError } from "../../base/error.ts";
import type { VolumeMountOption } from "../../bundle/container-options.ts";
import type { MountSource } from "../../plan/compile/request.ts";
import { isAlive } from "../../tasks/liveness.ts";
import type { ProcessIdentity } from "../../tasks/records.ts";
import { taskState } from "../../tasks/task-state.ts";
import type { ContainerRecord } from "../containers/container-record.ts";
import { cleanTarget } from "../containers/mount-sources.ts";
import type { Internals } from "../internals.ts";
import { volumeUsers } from "./references.ts";
import { lockVolume } from "./volumes.ts";

export interface SharedTmpfs extends Disposable {
  /** Where the mounts come from, by destination. */
  readonly sources: ReadonlyMap<string, MountSource>;
  /** Whether a start failed since one of those that they come from has ended: then there may be others, or none. */
  readonly isLost: (error: unknown) => boolean;
}

/** The first descriptor by which a shim holds a mount: beyond all that it opens otherwise. */
const firstNumber = 600;

/** Where each of them is shown, in the order in which the shim holds them. */
function heldVolumes({ options }: ContainerRecord): ReadonlyMap<string, readonly VolumeMountOption[]> {
  const volumes = new Map<string, VolumeMountOption[]>();
  for (const mount of options.mounts ?? []) {
    if (mount.kind !== "volume" || mount.mounted?.type !== "tmpfs") continue;
    // one that begins with what a container has in its place is that container's
    if (mount.mounted.options.includes("tmpcopyup")) continue;
    volumes.set(mount.source!, [...(volumes.get(mount.source!) ?? []), mount]);
  }
  return volumes;
}

function numberOf(volumes: ReadonlyMap<string, unknown>, name: string): number {
  return firstNumber + [...volumes.keys()].indexOf(name);
}

/** Holds the volumes until the start is over: of two containers that start at once one is the first. */
export async function shareTmpfs(
  internals: Internals,
  record: ContainerRecord,
  options: { readonly signal?: AbortSignal },
): Promise<SharedTmpfs> {
  const own = heldVolumes(record);
  const locks: Disposable[] = [];
  const release = () => {
    for (const lock of locks.splice(0)) lock[Symbol.dispose]();
  };
  try {
    // in one order for all, so that nobody waits for one that waits for him
    for (const name of [...own.keys()].sort()) locks.push(await lockVolume(internals, name, options));
    const donors: ProcessIdentity[] = [];
    const sources = new Map<string, MountSource>();
    const users = own.size > 0 ? volumeUsers(internals.containers) : new Map<string, readonly string[]>();
    for (const [name, mounts] of own) {
      const number = numberOf(own, name);
      const others = (users.get(name) ?? []).filter((id) => id !== record.id);
      const holder = holderAmong(internals, others, name);
      if (holder) donors.push(holder.shim);
      const from = holder && { pid: holder.shim.pid, start: holder.shim.startTime, number: holder.number };
      for (const { target, subpath } of mounts)
        sources.set(cleanTarget(target), { held: { number, from }, below: subpath });
    }
    // one that is about to end has no namespaces any more
    const isLost = (error: unknown) =>
      donors.length > 0 &&
      ((isGantryError(error) && error.detail.errno === "ESRCH") || !donors.every(isAlive));
    return { sources, isLost, [Symbol.dispose]: release };
  } catch (error) {
    release();
    throw error;
  }
}

/** The shim of one of these containers that runs, and by which number it holds the volume. */
function holderAmong(
  { containers }: Internals,
  ids: readonly string[],
  volume: string,
): { readonly shim: ProcessIdentity; readonly number: number } | undefined {
  for (const id of ids) {
    const state = taskState(containers.stateDirectory(id));
    const record = state.kind === "running" ? containers.read(id) : undefined;
    if (state.kind !== "running" || !record) continue;
    const volumes = heldVolumes(record);
    if (volumes.has(volume)) return { shim: state.start.shim, number: numberOf(volumes, volume) };
  }
  return undefined;
}
