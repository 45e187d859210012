/**
 * The truth about a container, from the two records and from /proc alone: it holds whichever process of
 * Gantry was killed, and whenever.
 */
import { isAlive } from "./liveness.ts";
import { type ExitRecord, readExitRecord, readStartRecord, type StartRecord } from "./records.ts";

export type TaskState =
  /** Nothing was started here, or the start was undone. */
  | { readonly kind: "created" }
  /** The shim lives: the program runs, or has ended and is being cleaned up after. */
  | { readonly kind: "running"; readonly start: StartRecord }
  | { readonly kind: "exited"; readonly start: StartRecord | undefined; readonly exit: ExitRecord }
  /** The shim was killed before it could tell the end: see `recover`. */
  | { readonly kind: "lost"; readonly start: StartRecord; readonly initAlive: boolean };

/** Reads the state of the container whose run-time directory is `dir`. */
export function taskState(dir: string): TaskState {
  const start = readStartRecord(dir);
  const exit = readExitRecord(dir);
  if (exit) return { kind: "exited", start, exit };
  if (!start) return { kind: "created" };
  if (isAlive(start.shim)) return { kind: "running", start };
  // the shim may have written it, and ended, since we looked
  const late = readExitRecord(dir);
  if (late) return { kind: "exited", start, exit: late };
  return { kind: "lost", start, initAlive: isAlive(start.init) };
}
