/**
 * What is done when a shim was killed: it can no longer watch its container, so the container is ended,
 * what the plan's clean-up would have undone is undone, and a true record is written in its place.
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { isGantryError } from "../base/error.ts";
import { type LaunchOptions, runPlan } from "../launch/launch.ts";
import type { Plan } from "../plan/plan.ts";
import { endProcess } from "./end-process.ts";
import { killCgroup, thawCgroup } from "./kill-cgroup.ts";
import { type ExitRecord, type StartRecord, startRecordName, writeExitRecord } from "./records.ts";
import type { Cancellable } from "./task.ts";
import { taskState } from "./task-state.ts";

export interface RecoverOptions extends Cancellable {
  /** Path of the executor. */
  readonly executor: LaunchOptions["executor"];
  /** What else is to be undone: a plan of a clean-up stage only. Its cgroups are removed in any case. */
  readonly cleanup?: Plan;
}

/** The end of a container whose shim was killed, as far as anybody can know it. */
export function lostExit(): ExitRecord {
  return {
    code: 137,
    signal: 9,
    exitedAt: new Date().toISOString(),
    oomKilled: false,
    error: "shim was killed",
  };
}

/** It gets its signal before it is let go on, where it was paused. */
async function endInit(dir: string, { init, cgroups }: StartRecord, signal?: AbortSignal): Promise<void> {
  const thaw = async () => {
    for (const { mount, path } of cgroups) thawCgroup(join(mount, path));
  };
  await Promise.all([endProcess(init, `recover container "${dir}"`, signal), thaw()]);
}

/** Ends what a killed shim left of a container and runs its clean-up. May be repeated. */
async function endAndCleanUp(
  dir: string,
  start: StartRecord | undefined,
  options: RecoverOptions,
): Promise<void> {
  const cgroups = start?.cgroups ?? [];
  if (start) {
    // init first: with it a pid namespace ends
    await endInit(dir, start, options.signal);
    for (const { mount, path } of cgroups) await killCgroup(join(mount, path), options);
  }
  options.signal?.throwIfAborted();
  const removals = cgroups.map(
    ({ mount, path }) => ({ op: "remove-cgroup", where: "", mount, path }) as const,
  );
  const cleanup = [...(options.cleanup?.cleanup ?? []), ...removals];
  if (cleanup.length > 0) await runPlan({ host: [], child: [], cleanup }, { executor: options.executor });
}

/**
 * Brings a lost container to its end and returns its exit record; a container that is not lost is left
 * alone, and the result is undefined. May be repeated after a failure or a crash at any point: only its
 * last act makes the container count as exited. The caller holds the container's lock.
 */
export async function recover(dir: string, options: RecoverOptions): Promise<ExitRecord | undefined> {
  const state = taskState(dir);
  if (state.kind !== "lost") return undefined;
  await endAndCleanUp(dir, state.start, options);
  const exit = lostExit();
  try {
    writeExitRecord(dir, exit);
  } catch (error) {
    // the clean-up may have removed the directory, as automatic removal asks for
    if (!isGantryError(error, "not-found")) throw error;
  }
  return exit;
}

/**
 * Undoes a start whose executor was killed before it could undo it: afterwards the container counts as
 * created. One that runs or has ended is left alone. The caller holds the container's lock.
 */
export async function undoStart(dir: string, options: RecoverOptions): Promise<void> {
  const state = taskState(dir);
  if (state.kind !== "lost" && state.kind !== "created") return;
  await endAndCleanUp(dir, state.kind === "lost" ? state.start : undefined, options);
  rmSync(join(dir, startRecordName), { force: true });
}
