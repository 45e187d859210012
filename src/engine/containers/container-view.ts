/** The root of a container for who looks into it or copies: as it is seen by its processes, or at rest. */
import { existsSync } from "node:fs";
import type { Owner } from "../../snapshots/pack.ts";
import type { View, ViewMount } from "../../snapshots/view.ts";
import type { IdMapping } from "../../spec/runtime-mount.ts";
import { taskState } from "../../tasks/task-state.ts";
import { type Internals, lockContainer } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { settleLocked } from "./observe.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

export interface ContainerView extends Disposable {
  readonly record: ContainerRecord;
  readonly running: boolean;
  /** What of the host is bound into it, if it does not run. */
  readonly mounts: readonly ViewMount[];
  /** With all that is mounted in it. Of a container at rest one that takes writes is opened alone. */
  whole(writable: boolean): View;
  /** What is its own: without mounts. */
  bare(): View;
  /** Owners as the container sees them, of what a view shows, and the other way round. */
  inside(owner: Owner): Owner;
  outside(owner: Owner): Owner;
}

/** Holds the lock of a container that does not run: nobody starts it while its root is open. */
export async function openContainerView(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ContainerView> {
  const lock = await lockContainer(internals, id, options);
  try {
    const record = await settleLocked(internals, id);
    if (!record) throw noSuchContainer(id);
    const task = taskState(internals.containers.stateDirectory(id));
    const { userNamespace } = record.options;
    const mappings = typeof userNamespace === "object" ? userNamespace : undefined;
    const common = {
      record,
      inside: (owner: Owner) => translated(mappings, owner, "hostID", "containerID"),
      outside: (owner: Owner) => translated(mappings, owner, "containerID", "hostID"),
    };
    if (record.startedInBoot && task.kind === "running") {
      lock[Symbol.dispose]();
      const { pid, startTime } = task.start.init;
      return {
        ...common,
        running: true,
        mounts: [],
        whole: () => ({ kind: "process", pid, startTime }),
        bare: () => ({ kind: "process", pid, startTime, bare: true }),
        [Symbol.dispose]: () => {},
      };
    }
    const snapshot = await (await internals.snapshotter()).mounts(id, options);
    const mounts = mountsOf(internals, id);
    const own = internals.containers.stateDirectory(id);
    const isAsked = ({ source }: ViewMount) => !source.startsWith(`${own}/`);
    return {
      ...common,
      running: false,
      mounts,
      // places that no start has made yet are made, as the start would
      whole: (writable) => ({
        kind: "snapshot",
        snapshot,
        writable: writable || mounts.some(isAsked),
        mounts,
      }),
      bare: () => ({ kind: "snapshot", snapshot, writable: false }),
      [Symbol.dispose]: () => lock[Symbol.dispose](),
    };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** What of the host is bound into it, as far as it is there: the files of a run are made when it starts. */
function mountsOf(internals: Internals, id: string): readonly ViewMount[] {
  return (readRuntimeConfig(internals, id).mounts ?? []).flatMap(
    ({ type, source, destination, options = [] }) =>
      type === "bind" && source !== undefined && existsSync(source)
        ? [{ source, path: destination, readOnly: options.includes("ro") }]
        : [],
  );
}

type Side = "hostID" | "containerID";

function translated(
  mappings:
    | { readonly uidMappings: readonly IdMapping[]; readonly gidMappings: readonly IdMapping[] }
    | undefined,
  owner: Owner,
  from: Side,
  to: Side,
): Owner {
  if (!mappings) return owner;
  const one = (id: number, list: readonly IdMapping[]) => {
    const found = list.find((mapping) => id >= mapping[from] && id < mapping[from] + mapping.size);
    return found ? id - found[from] + found[to] : id;
  };
  return { uid: one(owner.uid, mappings.uidMappings), gid: one(owner.gid, mappings.gidMappings) };
}
