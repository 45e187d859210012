/** Removes a container. */
import { GantryError, isGantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import { taskState } from "../../tasks/task-state.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { isFrozen } from "./container-cgroups.ts";
import type { ContainerRecord } from "./container-record.ts";
import { discardContainer } from "./discard.ts";
import { thawForSignal } from "./freeze.ts";
import { settleLocked } from "./observe.ts";

export interface RemoveOptions {
  /** Kill it first if it runs. */
  readonly force?: boolean;
  /** Its anonymous volumes, too. */
  readonly volumes?: boolean;
  readonly signal?: AbortSignal;
}

export async function removeContainer(
  internals: Internals,
  id: string,
  options: RemoveOptions = {},
): Promise<void> {
  const { signal } = options;
  const volumes = options.volumes ? "remove" : undefined;
  using _ = await lockContainer(internals, id, options);
  let record: ContainerRecord | undefined;
  try {
    record = await settleLocked(internals, id);
  } catch (error) {
    if (!options.force || !isGantryError(error)) throw error;
    internals.logger.warn("removing a container that cannot be read", { id, error: error.message });
    await killTask(internals, { id }, signal);
    return await discardContainer(internals, { id }, { volumes: volumes ?? "keep" });
  }
  if (!record) return;
  const dir = internals.containers.stateDirectory(id);
  if (record.startedInBoot && taskState(dir).kind === "running") {
    if (!options.force)
      throw new GantryError(
        "failed-precondition",
        `cannot remove container "${record.name}": container is ${remedy(internals, id)} the container before removing or force remove`,
        { detail: { id, name: record.name } },
      );
    await killTask(internals, record, signal);
    const settled = await settleLocked(internals, id);
    if (!settled) return;
  }
  if (record.restart && !options.force)
    throw new GantryError(
      "failed-precondition",
      `You cannot remove a restarting container ${id}. Stop the container before attempting removal or force remove`,
      { detail: { id, name: record.name } },
    );
  signal?.throwIfAborted();
  await discardContainer(internals, record, { volumes });
}

/** What its state is, and what is to be done about it. */
function remedy(internals: Internals, id: string): string {
  const task = taskState(internals.containers.stateDirectory(id));
  const paused = task.kind === "running" && isFrozen(internals, task.start);
  return paused ? "paused: unpause and then stop" : "running: stop";
}

/** Ends whatever runs of a container. */
async function killTask(
  internals: Internals,
  container: ContainerRecord | { readonly id: string },
  signal: AbortSignal | undefined,
): Promise<void> {
  const { id } = container;
  const dir = internals.containers.stateDirectory(id);
  if (taskState(dir).kind !== "running") return;
  const task = openTask(dir);
  const cancellable = signal ? { signal } : {};
  try {
    await task.kill(9, { all: true, ...cancellable });
    await thawForSignal(internals, container, cancellable);
  } catch (error) {
    // it has just ended by itself
    if (!isGantryError(error, "failed-precondition")) throw error;
  }
  await task.wait(cancellable);
}
