/**
 * The true state of a pod, asked of the kernel, and the bookkeeping that follows from it: what a killed process left
 * half-made is undone, a removal that was begun is ended. Any engine that looks does this.
 */
import { bootId } from "../boot.ts";
import { type Internals, tryLockContainer } from "../internals.ts";
import { observeEach } from "../observe-each.ts";
import { undoPod } from "./pod-plan.ts";
import { type PodRecord, podAttributes } from "./pod-record.ts";
import { brokenBecause, readSandbox, type Sandbox } from "./sandbox.ts";

export type PodState =
  | { readonly kind: "created" }
  | { readonly kind: "ready"; readonly sandbox: Sandbox }
  | { readonly kind: "stopped"; readonly finishedAt: string; readonly error?: string };

export interface ObservedPod {
  readonly record: PodRecord;
  readonly state: PodState;
}

function restingState({ lastStop }: PodRecord): PodState {
  if (!lastStop) return { kind: "created" };
  const { finishedAt, error } = lastStop;
  return { kind: "stopped", finishedAt, ...(error === undefined ? {} : { error }) };
}

const cutShort = "its start was cut short";

/** What holds a pod now; a reason where a start was begun and nothing holds. */
function sandboxOf(internals: Internals, record: PodRecord): Sandbox | { readonly broken: string } {
  if (record.startedInBoot !== bootId()) return { broken: "the machine was restarted" };
  const dir = internals.pods.stateDirectory(record.id);
  const sandbox = readSandbox(dir);
  if (!sandbox) return { broken: cutShort };
  const broken = brokenBecause(record, dir, sandbox);
  return broken === undefined ? sandbox : { broken };
}

/** Puts right what was cut short. Call with the lock held. */
export async function settlePod(internals: Internals, id: string): Promise<ObservedPod | undefined> {
  const { pods } = internals;
  const record = pods.read(id);
  if (!record) return undefined;
  if (record.startedInBoot === undefined) return { record, state: restingState(record) };
  const found = sandboxOf(internals, record);
  if (!("broken" in found)) return { record, state: { kind: "ready", sandbox: found } };
  // without what holds it a pod runs no container: those that are left are ended with its cgroup
  await undoPod(internals, record);
  const { startedInBoot: _, ...rest } = record;
  const ended = found.broken !== cutShort && !record.lastStop;
  const settled: PodRecord = ended
    ? { ...rest, lastStop: { finishedAt: new Date().toISOString(), error: found.broken } }
    : rest;
  pods.write(settled);
  if (ended || record.lastStop) internals.events.append("pod", "stop", id, podAttributes(record));
  return { record: settled, state: restingState(settled) };
}

/** The state of one pod; undefined if it is gone. Never waits. */
export async function observePod(internals: Internals, id: string): Promise<ObservedPod | undefined> {
  const record = internals.pods.read(id);
  if (!record) return undefined;
  if (record.removing) {
    const { finishRemoval } = await import("./finish-removal.ts");
    if (await finishRemoval(internals, id)) return undefined;
  }
  if (record.startedInBoot === undefined) return { record, state: restingState(record) };
  const found = sandboxOf(internals, record);
  if (!("broken" in found)) return { record, state: { kind: "ready", sandbox: found } };
  using lock = tryLockContainer(internals, id);
  return lock ? await settlePod(internals, id) : { record, state: restingState(record) };
}

/** The state of every pod, newest first; cleans up what dead makers and removers left on the way. */
export async function observePods(internals: Internals): Promise<readonly ObservedPod[]> {
  return await observeEach(internals, internals.pods, observePod, clearHalfMadePod);
}

/** Removes the rest of a pod without a record, if nobody alive is making or removing it. */
export async function clearHalfMadePod(internals: Internals, id: string): Promise<void> {
  const { pods } = internals;
  using lock = tryLockContainer(internals, id);
  // holding the lock, look again: its maker may just have finished
  if (!lock || pods.read(id)) return;
  internals.logger.debug("clearing a half-made pod", { pod: id });
  const { discardPod } = await import("./discard-pod.ts");
  await discardPod(internals, { id });
}
