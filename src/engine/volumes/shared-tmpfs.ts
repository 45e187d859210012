/**
 * A volume whose driver mounts a tmpfs is one file system for all who use it at a time, as with docker. It is mounted
 * nowhere on the host: the first container that runs makes it, the next ones take it from one that has it, and it goes
 * with the last. So there is nothing to be removed, whoever is killed.
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

/** Another OCI runtime makes its mounts by itself. A part of a volume is looked up in what is there. */
export function sharedMounts({ options, runtime }: ContainerRecord): readonly VolumeMountOption[] {
  if (runtime) return [];
  return (options.mounts ?? []).filter(
    (mount): mount is VolumeMountOption =>
      mount.kind === "volume" && mount.mounted?.type === "tmpfs" && mount.subpath === undefined,
  );
}

/** Holds the volumes until the start is over: of two containers that start at once one is the first. */
export async function shareTmpfs(
  internals: Internals,
  record: ContainerRecord,
  options: { readonly signal?: AbortSignal },
): Promise<SharedTmpfs> {
  const own = sharedMounts(record);
  const locks: Disposable[] = [];
  const release = () => {
    for (const lock of locks.splice(0)) lock[Symbol.dispose]();
  };
  try {
    // in one order for all, so that nobody waits for one that waits for him
    for (const name of [...new Set(own.map(({ source }) => source!))].sort())
      locks.push(await lockVolume(internals, name, options));
    const donors: ProcessIdentity[] = [];
    const sources = new Map<string, MountSource>();
    const users = own.length > 0 ? volumeUsers(internals.containers) : new Map<string, readonly string[]>();
    for (const { source = "", target } of own)
      for (const id of users.get(source) ?? []) {
        const found = id === record.id ? undefined : mountIn(internals, record, id, source);
        if (!found) continue;
        const { init, path } = found;
        donors.push(init);
        sources.set(cleanTarget(target), { from: { pid: init.pid, start: init.startTime, path } });
        break;
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

/** Where a container that runs has the volume. With other users it would show them wrongly. */
function mountIn(
  { containers }: Internals,
  { options }: ContainerRecord,
  id: string,
  volume: string,
): { readonly init: ProcessIdentity; readonly path: string } | undefined {
  const state = taskState(containers.stateDirectory(id));
  const other = containers.read(id);
  if (!other || state.kind !== "running" || !isAlive(state.start.init)) return undefined;
  if (JSON.stringify(other.options.userNamespace) !== JSON.stringify(options.userNamespace)) return undefined;
  const mount = sharedMounts(other).find(({ source }) => source === volume);
  return mount && { init: state.start.init, path: cleanTarget(mount.target) };
}
