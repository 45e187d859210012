/** The execs that run in a container, as they truly are; clears away what killed ones have left. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { array, boolean, decodeJson, object, string } from "../../base/decode.ts";
import { bug, errnoOf, wrapErrno } from "../../base/error.ts";
import { removeTree } from "../../base/remove-tree.ts";
import { type StartRecord, startRecordName } from "../../tasks/records.ts";
import { lostExit } from "../../tasks/recover.ts";
import { type TaskState, taskState } from "../../tasks/task-state.ts";
import type { Internals } from "../internals.ts";
import { containerAttributes } from "./event-attributes.ts";

export interface ExecSummary {
  readonly id: string;
  /** As this machine numbers it. */
  readonly pid: number;
  readonly startedAt: string;
  readonly args: readonly string[];
  readonly terminal: boolean;
  readonly stdin: boolean;
  /** As it was asked for; "" is that of the container. */
  readonly user: string;
  readonly privileged: boolean;
}

/** What execPlan has put into the start record. */
const form = object({
  args: array(string),
  terminal: boolean,
  stdin: boolean,
  user: string,
  privileged: boolean,
});

/** How long the status of one that nobody was attached to can be asked for. */
const toldMs = 5 * 60_000;
/** Directories that may be there before ended ones are forgotten earlier. */
const keptLimit = 128;
/** Longer than an exec takes from its directory to its record. */
const unbornMs = 60_000;

function names(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw wrapErrno(error, "list execs", dir);
  }
}

/** Since its last file was written, or it was made. */
function ageMs(dir: string): number {
  return Date.now() - (statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? 0);
}

/** Whether nobody will ask for it any more. */
function isStale(dir: string, state: TaskState): boolean {
  switch (state.kind) {
    case "created":
      return ageMs(dir) > unbornMs;
    case "exited":
      return ageMs(dir) > toldMs;
    case "lost":
      // one of ours ends with its shim; that of another runtime was ended just now
      return !state.initAlive;
    case "running":
      return false;
    default:
      state satisfies never;
      return bug("task state");
  }
}

/** Nobody holds its streams any more, nor would tell of its end. */
function endOrphan({ init }: StartRecord): void {
  try {
    process.kill(init.pid, "SIGKILL");
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw wrapErrno(error, `kill process ${init.pid}`);
  }
}

function summaryOf(internals: Internals, container: string, id: string): ExecSummary | undefined {
  const dir = join(internals.containers.execsDirectory(container), id);
  const state = taskState(dir);
  if (state.kind === "lost" && state.initAlive) endOrphan(state.start);
  if (isStale(dir, state)) {
    removeTree(dir);
    if (state.kind === "lost") tellLost(internals, container, id);
  }
  if (state.kind !== "running") return undefined;
  const path = join(dir, startRecordName);
  const { init, startedAt } = state.start;
  return { id, pid: init.pid, startedAt, ...decodeJson(readFileSync(path), form, path, 64 * 1024) };
}

/** Its shim was killed before it could tell of the end. */
function tellLost({ containers, events }: Internals, container: string, execID: string): void {
  const record = containers.read(container);
  if (!record) return;
  const exitCode = String(lostExit().code);
  events.append("container", "exec_die", container, { ...containerAttributes(record), execID, exitCode });
}

/** Keeps what detached execs leave within bounds: the status of those that ended long ago, or of very many. */
export function forgetEnded(internals: Internals, id: string): void {
  const execs = internals.containers.execsDirectory(id);
  const all = names(execs);
  if (all.length <= keptLimit) return;
  const ended = all
    .map((name) => join(execs, name))
    .filter((dir) => taskState(dir).kind === "exited")
    .sort((a, b) => ageMs(b) - ageMs(a));
  for (const dir of ended.slice(0, keptLimit / 2)) removeTree(dir);
}

/** Oldest first. */
export function listExecs(internals: Internals, id: string): readonly ExecSummary[] {
  const execs = internals.containers.execsDirectory(id);
  return names(execs)
    .flatMap((name) => {
      try {
        return summaryOf(internals, id, name) ?? [];
      } catch (error) {
        // it has ended between two looks
        if (errnoOf(error) === "ENOENT") return [];
        throw error;
      }
    })
    .sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1));
}
