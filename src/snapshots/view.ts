/** How a session of the executor gets at a root: a directory of the host, a running container, a snapshot at rest. */
import { byteStringOf } from "../wire/tar-format.ts";
import type { LayerOperands, LayerOperation } from "./layer-batch.ts";
import type { SnapshotMounts } from "./snapshotter.ts";

/** A path of the host that a container has at a path of its root. */
export interface ViewMount {
  readonly source: string;
  readonly path: string;
  readonly readOnly: boolean;
}

export type View =
  | { readonly kind: "directory"; readonly path: string }
  /** The root of a process; `bare`: without what is mounted below it. */
  | {
      readonly kind: "process";
      readonly pid: number;
      /** Clock ticks since boot: it must be the same process still. */
      readonly startTime: number;
      readonly bare?: boolean;
      /** Whose is first what is made in it: an id-mapped root knows no others than those of its container. */
      readonly uid: number;
      readonly gid: number;
    }
  /** Mounted for the session alone. Of one that takes writes nobody else may have a mount at the time. */
  | {
      readonly kind: "snapshot";
      readonly snapshot: SnapshotMounts;
      readonly writable: boolean;
      readonly mounts?: readonly ViewMount[];
    };

/** What sessions have in common. */
export interface StepTaker {
  add<N extends LayerOperation>(name: N, operands: LayerOperands<N>): void;
}

/** Directories stay directories, and other things other things (layer-root in src/plan/operations.ts). */
export const keepKinds = 4;

const nothing = byteStringOf("");

/** Opens the view as a register of the session. */
export function openView(session: StepTaker, view: View, root: number, options = 0): void {
  switch (view.kind) {
    case "directory":
      session.add("layer-root", { path: byteStringOf(view.path), options, root });
      return;
    case "process":
      session.add("view-container", {
        pid: view.pid,
        start: view.startTime,
        bare: view.bare ? 1 : 0,
        uid: view.uid,
        gid: view.gid,
        options,
        root,
      });
      return;
    case "snapshot": {
      const { snapshot, writable, mounts = [] } = view;
      const { upper, work, lower } = snapshot;
      const whole = writable || upper === undefined ? lower : [upper, ...lower];
      session.add("view-overlay", {
        lower: whole.map(byteStringOf),
        upper: writable && upper !== undefined ? byteStringOf(upper) : nothing,
        work: writable && work !== undefined ? byteStringOf(work) : nothing,
        options,
        root,
      });
      for (const { source, path, readOnly } of mounts)
        session.add("view-mount", {
          root,
          path: byteStringOf(path),
          source: byteStringOf(source),
          readonly: readOnly ? 1 : 0,
        });
      return;
    }
    default:
      view satisfies never;
  }
}
