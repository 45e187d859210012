/**
 * The true state of a container, asked of the kernel and of what its shim has written down, and the bookkeeping that
 * follows from it: an end is taken over into the record, a container with --rm that has ended is removed, what dead
 * makers left is cleaned up. Any engine that looks does this, so it does not matter which process was killed.
 */
import { isGantryError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import type { StartRecord } from "../../tasks/records.ts";
import { taskState } from "../../tasks/task-state.ts";
import { bootId } from "../boot.ts";
import { type Internals, tryLockContainer } from "../internals.ts";
import { observeEach } from "../observe-each.ts";
import { isFrozen } from "./container-cgroups.ts";
import type { ContainerRecord, LastRun } from "./container-record.ts";
import { discardContainer } from "./discard.ts";
import { containerAttributes } from "./event-attributes.ts";
import { restartAfter } from "./restart-policy.ts";

export type ContainerState =
  | { readonly kind: "created" }
  | { readonly kind: "running"; readonly start: StartRecord; readonly paused: boolean }
  | { readonly kind: "exited"; readonly run: LastRun };

export interface Observed {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
}

/** Status of a container whose end nobody saw: the shim was killed, or the machine went down. */
const lostExitCode = 255;

function runningState(internals: Internals, start: StartRecord): ContainerState {
  return { kind: "running", start, paused: isFrozen(internals, start) };
}

function restingState(record: ContainerRecord): ContainerState {
  return record.lastRun?.startedAt ? { kind: "exited", run: record.lastRun } : { kind: "created" };
}

/** How the run that `record` began has ended, if it has; `undefined` while it goes on or has not begun. */
async function endedRun(internals: Internals, record: ContainerRecord): Promise<LastRun | undefined> {
  const dir = internals.containers.stateDirectory(record.id);
  let task = taskState(dir);
  if (task.kind === "lost") {
    const { recoverLost } = await import("./recover-lost.ts");
    await recoverLost(internals, record);
    task = taskState(dir);
  }
  if (task.kind === "exited") {
    const { exit, start } = task;
    return {
      ...(start ? { startedAt: start.startedAt } : {}),
      finishedAt: exit.exitedAt,
      exitCode: exit.code,
      oomKilled: exit.oomKilled,
      ...(exit.error ? { error: exit.error } : {}),
    };
  }
  if (task.kind === "created" && record.startedInBoot !== bootId()) {
    const time = new Date().toISOString();
    const error = "the machine was restarted while the container ran";
    return { startedAt: record.createdAt, finishedAt: time, exitCode: lostExitCode, oomKilled: false, error };
  }
  return undefined;
}

/**
 * Takes over the end of the container's run, if there is one to take over. Call with the lock held. Undefined: the
 * container was to be removed at its end, and is; with `keep` it stays, for who starts it again at once.
 */
export async function settleLocked(
  internals: Internals,
  id: string,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<ContainerRecord | undefined> {
  const record = internals.containers.read(id);
  if (record?.unreported) return reportAgain(internals, record);
  if (!record?.startedInBoot) return record;
  const run = await endedRun(internals, record);
  if (!run) {
    // holding the lock we know that nobody is starting it: the one who did so died before it began
    const begun = taskState(internals.containers.stateDirectory(id)).kind !== "created";
    if (begun) return record;
    // its executor may have died with it, and then has undone nothing
    const { undoLostStart } = await import("./recover-lost.ts");
    await undoLostStart(internals, record);
    const { startedInBoot: _, ...rest } = record;
    if (!record.autoRemove || keep) {
      tryWrite(internals, rest);
      return rest;
    }
    await discardContainer(internals, rest);
    return undefined;
  }
  const { startedInBoot: _, ...rest } = record;
  // one that is started again at once is not also started by its policy
  const restart = keep ? undefined : restartAfter(record, run);
  const settled: ContainerRecord = { ...rest, lastRun: run, ...(restart ? { restart } : {}) };
  const stays = !record.autoRemove || keep;
  // whoever is killed between the two leaves a mark, so that each end is told once
  if (stays && !tryWrite(internals, { ...settled, unreported: true })) return settled;
  faultPoint("settle-recorded");
  reportEnd(internals, record, run);
  faultPoint("settle-reported");
  if (stays) {
    tryWrite(internals, settled);
    return settled;
  }
  await discardContainer(internals, settled);
  return undefined;
}

function reportEnd(internals: Internals, record: ContainerRecord, run: LastRun): void {
  const attributes = containerAttributes(record);
  const time = new Date(run.finishedAt);
  const { id } = record;
  if (run.oomKilled && !toldOfKill(internals, id, run))
    internals.events.append("container", "oom", id, attributes, time);
  const ran = run.startedAt === undefined ? 0 : time.getTime() - Date.parse(run.startedAt);
  const execDuration = String(Math.max(0, Math.floor(ran / 1000)));
  const end = { ...attributes, execDuration, exitCode: String(run.exitCode) };
  internals.events.append("container", "die", id, end, time);
}

/** The shim tells when it happens, if it sees it: not of what ended the container in the same instant. */
function toldOfKill({ events }: Internals, id: string, { startedAt = "" }: LastRun): boolean {
  const since = Date.parse(startedAt);
  return events.includes(
    (event) => event.action === "oom" && event.id === id && Date.parse(event.time) >= since,
  );
}

/** For who was killed before it could take the mark away: the end is told if it has not been. */
function reportAgain(internals: Internals, record: ContainerRecord): ContainerRecord {
  const { unreported: _, ...rest } = record;
  const time = new Date(record.lastRun!.finishedAt).toISOString();
  const told = internals.events.includes(
    (event) => event.action === "die" && event.id === record.id && event.time === time,
  );
  if (!told) reportEnd(internals, record, record.lastRun!);
  tryWrite(internals, rest);
  return rest;
}

/** On a full or read-only disk the record stays behind the truth, which is told all the same: the next look tries again. */
function tryWrite(internals: Internals, record: ContainerRecord): boolean {
  try {
    internals.containers.write(record);
    return true;
  } catch (error) {
    if (!isGantryError(error)) throw error;
    internals.logger.warn("the end of a container could not be recorded", {
      id: record.id,
      error: error.message,
    });
    return false;
  }
}

/**
 * The state of one container. Undefined if it is gone, also because it was to be removed at its end. Never waits: what
 * another process is busy with is reported as it stands.
 */
export async function observe(internals: Internals, id: string): Promise<Observed | undefined> {
  const record = internals.containers.read(id);
  if (!record) return undefined;
  if (!record.startedInBoot && !record.unreported) return { record, state: restingState(record) };
  const task = taskState(internals.containers.stateDirectory(id));
  if (record.startedInBoot && task.kind === "running")
    return { record, state: runningState(internals, task.start) };
  using lock = tryLockContainer(internals, id);
  if (!lock) {
    const run =
      record.startedInBoot && task.kind === "exited" ? await endedRun(internals, record) : undefined;
    return { record, state: run ? { kind: "exited", run } : restingState(record) };
  }
  const settled = await settleLocked(internals, id);
  if (!settled) return undefined;
  const now = taskState(internals.containers.stateDirectory(id));
  return {
    record: settled,
    state:
      settled.startedInBoot && now.kind === "running"
        ? runningState(internals, now.start)
        : restingState(settled),
  };
}

/** The state of every container, newest first; cleans up what dead makers and removers left on the way. */
export async function observeAll(internals: Internals): Promise<readonly Observed[]> {
  return await observeEach(internals, internals.containers, observe, clearHalfMade);
}

/** Removes the rest of a container without a record, if nobody alive is making or removing it. */
export async function clearHalfMade(internals: Internals, id: string): Promise<void> {
  using lock = tryLockContainer(internals, id);
  // holding the lock, look again: its maker may just have finished
  if (!lock || internals.containers.read(id)) return;
  internals.logger.debug("clearing a half-made container", { id });
  await discardContainer(internals, { id });
}
