/** Removes a container. */
import { GantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import { taskState } from "../../tasks/task-state.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { discardContainer } from "./discard.ts";
import { settleLocked } from "./observe.ts";

export interface RemoveOptions {
  /** Kill it first if it runs. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

export async function removeContainer(
  internals: Internals,
  id: string,
  options: RemoveOptions = {},
): Promise<void> {
  const { signal } = options;
  using _ = await lockContainer(internals, id, options);
  const record = await settleLocked(internals, id);
  if (!record) return;
  const dir = internals.containers.stateDirectory(id);
  if (record.startedInBoot && taskState(dir).kind === "running") {
    if (!options.force)
      throw new GantryError(
        "failed-precondition",
        `cannot remove container "${record.name}": container is running: stop the container before removing or force remove`,
        { detail: { id, name: record.name } },
      );
    const task = openTask(dir);
    await task.kill(9, { all: true, ...(signal ? { signal } : {}) });
    await task.wait(signal ? { signal } : {});
    const settled = await settleLocked(internals, id);
    if (!settled) return;
  }
  signal?.throwIfAborted();
  await discardContainer(internals, record);
}
