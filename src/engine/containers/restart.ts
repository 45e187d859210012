/** Ends a container and starts it again, in one go: nobody finds it stopped, and one with --rm stays. */
import { isGantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import { taskState } from "../../tasks/task-state.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { noSuchContainer } from "./container-store.ts";
import { containerAttributes } from "./event-attributes.ts";
import { signalNumber } from "./kill.ts";
import { settleLocked } from "./observe.ts";
import { withoutRestarts } from "./restart-policy.ts";
import { startLocked } from "./start.ts";
import { endRun, type StopOptions } from "./stop.ts";

/** Resolves when the program of the container runs again. */
export async function restartContainer(
  internals: Internals,
  id: string,
  options: StopOptions = {},
): Promise<void> {
  if (options.stopSignal !== undefined) signalNumber(options.stopSignal);
  const cancellable = options.signal ? { signal: options.signal } : {};
  // whoever takes over the end of a run holds the lock: one with --rm is not removed under our hands
  using _ = await lockContainer(internals, id, cancellable);
  let record = await settleLocked(internals, id, { keep: true });
  const dir = internals.containers.stateDirectory(id);
  if (record?.startedInBoot && taskState(dir).kind === "running") {
    await endRun(internals, record, options, () => endOf(dir, cancellable));
    const ended = containerAttributes(record);
    record = await settleLocked(internals, id, { keep: true });
    internals.events.append("container", "stop", id, ended);
  }
  if (!record) throw noSuchContainer(id);
  await startLocked(internals, withoutRestarts(record), { attach: false, ...cancellable });
  internals.events.append("container", "restart", id, containerAttributes(record));
}

/** Resolves at the end of the run, also where its shim was killed: settling it is the caller's next step. */
async function endOf(dir: string, options: { readonly signal?: AbortSignal }): Promise<void> {
  try {
    await openTask(dir).wait(options);
  } catch (error) {
    if (!isGantryError(error, "data-loss")) throw error;
  }
}
