/** Stops the processes of a container in their tracks, and lets them go on. */
import { GantryError } from "../../base/error.ts";
import { runPlan } from "../../launch/launch.ts";
import { compileFreeze } from "../../plan/compile/freeze.ts";
import type { StartRecord } from "../../tasks/records.ts";
import { taskState } from "../../tasks/task-state.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { containerCgroups, isFrozen } from "./container-cgroups.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { containerAttributes } from "./event-attributes.ts";
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
  const plan = compileFreeze(containerCgroups(internals, start), frozen);
  try {
    await runPlan(plan, { executor: internals.executor(), ...options });
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
    // the signal may have ended it by then
    if (taskState(internals.containers.stateDirectory(record.id)).kind === "running") throw error;
  }
}
