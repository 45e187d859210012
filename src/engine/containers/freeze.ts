/** Stops the processes of a container in their tracks, and lets them go on. */
import { setTimeout as sleep } from "node:timers/promises";
import { GantryError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { Scope } from "../../base/scope.ts";
import { runPlan } from "../../launch/launch.ts";
import { compileFreeze } from "../../plan/compile/freeze.ts";
import { isAlive } from "../../tasks/liveness.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { StartRecord } from "../../tasks/records.ts";
import { taskState } from "../../tasks/task-state.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { containerCgroups, isFrozen, standsStill } from "./container-cgroups.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { attributesNow, containerAttributes } from "./event-attributes.ts";
import { settleLocked } from "./observe.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

function refuse({ id }: { readonly id: string }, state: string): GantryError {
  return new GantryError("failed-precondition", `Container ${id} is ${state}`, { detail: { id } });
}

async function freezeLocked(
  internals: Internals,
  id: string,
  frozen: boolean,
  options: Cancellable,
): Promise<void> {
  const record = await settleLocked(internals, id);
  if (!record) throw noSuchContainer(id);
  const task = taskState(internals.containers.stateDirectory(id));
  if (!record.startedInBoot || task.kind !== "running")
    throw refuse(record, frozen ? "not running" : "not paused");
  const paused = isFrozen(internals, task.start);
  if (paused === frozen) throw refuse(record, frozen ? "already paused" : "not paused");
  await setFrozen(internals, record, task.start, frozen, options);
}

/** Freezes or thaws what runs, and tells of it. */
async function setFrozen(
  internals: Internals,
  record: ContainerRecord | { readonly id: string },
  start: StartRecord,
  frozen: boolean,
  options: Cancellable,
): Promise<void> {
  try {
    if ("runtime" in record && record.runtime) await runVerb(internals, record, frozen, options);
    else {
      const plan = compileFreeze(containerCgroups(internals, start), frozen);
      await runPlan(plan, { executor: internals.executor(), ...options });
    }
  } catch (error) {
    const { kind } = taskState(internals.containers.stateDirectory(record.id));
    throw kind === "running" ? error : refuse(record, "not running");
  }
  if ("name" in record)
    internals.events.append(
      "container",
      frozen ? "pause" : "unpause",
      record.id,
      containerAttributes(record),
    );
}

async function runVerb(
  internals: Internals,
  record: ContainerRecord,
  frozen: boolean,
  options: Cancellable,
): Promise<void> {
  const { runForeign } = await import("./foreign-runtime.ts");
  await runForeign(internals, record, [frozen ? "pause" : "resume", record.id], options);
}

export async function pauseContainer(
  internals: Internals,
  id: string,
  options: Cancellable = {},
): Promise<void> {
  using _ = await lockContainer(internals, id, options);
  await freezeLocked(internals, id, true, options);
}

export async function unpauseContainer(
  internals: Internals,
  id: string,
  options: Cancellable = {},
): Promise<void> {
  using _ = await lockContainer(internals, id, options);
  await freezeLocked(internals, id, false, options);
}

/** Lets a container go on that is to take a signal; nothing to do if it is not paused, or over. */
export async function thawForSignal(
  internals: Internals,
  record: ContainerRecord | { readonly id: string },
  options: Cancellable = {},
): Promise<void> {
  const task = taskState(internals.containers.stateDirectory(record.id));
  if (task.kind !== "running" || !isFrozen(internals, task.start)) return;
  try {
    await setFrozen(internals, record, task.start, false, options);
  } catch (error) {
    // the signal may have ended it by then, and its shim be cleaning up
    const now = taskState(internals.containers.stateDirectory(record.id));
    if (now.kind === "running" && isAlive(now.start.init)) throw error;
  }
}

/** As long as runc waits. */
const freezeTimeoutMs = 10_000;
/** After so many looks at a freezer that does not get there. */
const pulseEvery = 50;

/**
 * Stops the processes of a container for as long as what comes back is not disposed of: its shim holds them, and lets
 * them go also when this process is killed. Undefined if it does not run; one that is paused stays so.
 */
export async function holdContainer(
  internals: Internals,
  id: string,
  options: Cancellable = {},
): Promise<AsyncDisposable | undefined> {
  using _ = await lockContainer(internals, id, options);
  const record = await settleLocked(internals, id);
  if (!record) throw noSuchContainer(id);
  const dir = internals.containers.stateDirectory(id);
  const task = taskState(dir);
  if (!record.startedInBoot || task.kind !== "running") return undefined;
  const { start } = task;
  const paused = isFrozen(internals, start);
  const tell = (action: "pause" | "unpause") => {
    if (!paused) internals.events.append("container", action, id, attributesNow(internals, record));
  };
  await using scope = new Scope();
  const hold = scope.use(await openTask(dir).hold(options));
  faultPoint("hold-begun");
  const until = performance.now() + freezeTimeoutMs;
  for (let looks = 1; !standsStill(internals, start); looks++) {
    if (taskState(dir).kind !== "running") return undefined;
    if (performance.now() > until)
      throw new GantryError("deadline-exceeded", `pause container "${record.name}": unable to freeze`, {
        detail: { id },
      });
    await sleep(1, undefined, options);
    await hold.renew({ ...options, pulse: looks % pulseEvery === 0 });
  }
  tell("pause");
  return scope.keep({
    async [Symbol.asyncDispose]() {
      await hold[Symbol.asyncDispose]();
      if (!isFrozen(internals, start)) tell("unpause");
    },
  });
}
