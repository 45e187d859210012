/** The root of a container for who looks into it or copies: as it is seen by its processes, or at rest. */
import { existsSync } from "node:fs";
import type { IdMap } from "../../snapshots/pack.ts";
import type { View, ViewMount } from "../../snapshots/view.ts";
import { taskState } from "../../tasks/task-state.ts";
import type { ByteString } from "../../wire/tar-format.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { containerIds, restingMaps, runningMaps } from "./container-ids.ts";
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
  /** How the container sees owners at a path of a view. */
  inside(path: ByteString): IdMap;
  /** How those are written that it shall see: failed-precondition for one that its user namespace does not have. */
  outside(path: ByteString): IdMap;
  /** How it sees owners as they stand in its layers. */
  readonly stored: IdMap;
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
    if (record.startedInBoot && task.kind === "running") {
      lock[Symbol.dispose]();
      const { pid, startTime } = task.start.init;
      const ids = containerIds(runningMaps(pid));
      const process = { kind: "process", pid, startTime, ...ids.root } as const;
      return {
        record,
        running: true,
        mounts: [],
        whole: () => process,
        bare: () => ({ ...process, bare: true }),
        inside: () => ids.fromHost,
        outside: () => ids.toHost,
        stored: ids.stored,
        [Symbol.dispose]: () => {},
      };
    }
    const snapshot = await (await internals.snapshotter()).mounts(id, options);
    const mounts = mountsOf(internals, id);
    const own = internals.containers.stateDirectory(id);
    const isAsked = ({ source }: ViewMount) => !source.startsWith(`${own}/`);
    const ids = containerIds(restingMaps(internals, id));
    // of the host as they are: neither a layer, whose ids are the container's, nor shown with those
    const isForeign = (path: ByteString) =>
      mounts.some((mount) => !mount.mapped && `/${path}/`.startsWith(`${mount.path}/`));
    return {
      record,
      inside: (path) => (isForeign(path) ? ids.fromHost : ids.stored),
      outside: (path) => (isForeign(path) ? ids.toHost : ids.toStored),
      stored: ids.stored,
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
function mountsOf(internals: Internals, id: string): readonly (ViewMount & { readonly mapped: boolean })[] {
  return (readRuntimeConfig(internals, id).mounts ?? []).flatMap(
    ({ type, source, destination, options = [] }) =>
      type === "bind" && source !== undefined && existsSync(source)
        ? [
            {
              source,
              path: destination,
              readOnly: options.includes("ro"),
              mapped: options.some((option) => option === "idmap" || option === "ridmap"),
            },
          ]
        : [],
  );
}
