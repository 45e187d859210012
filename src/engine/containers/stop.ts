/** Asks a container to end, and kills it if it does not within its time. */

import { isGantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { Internals } from "../internals.ts";
import { containerAttributes } from "./event-attributes.ts";
import { type SignalName, signalNumber } from "./kill.ts";
import { observe } from "./observe.ts";
import { waitForContainer } from "./wait.ts";

export interface StopOptions {
  /** Before it is killed; -1 waits for ever. Default: what it was created with. */
  readonly timeoutSeconds?: number;
  /** Default: the stop signal of the container. */
  readonly stopSignal?: SignalName;
  readonly signal?: AbortSignal;
}

/** Resolves when the container has ended; at once if it does not run. */
export async function stopContainer(
  internals: Internals,
  id: string,
  options: StopOptions = {},
): Promise<void> {
  const asked = options.stopSignal === undefined ? undefined : signalNumber(options.stopSignal);
  const observed = await observe(internals, id);
  if (observed?.state.kind !== "running") return;
  const { record } = observed;
  const { signal } = options;
  const cancellable = signal ? { signal } : {};
  const task = openTask(internals.containers.stateDirectory(id));
  const seconds = options.timeoutSeconds ?? record.stopTimeoutSeconds;
  const timer = new AbortController();
  const ended = waitForContainer(internals, id, cancellable);
  try {
    await endedMeanwhile(task.kill(asked ?? record.stopSignal, cancellable));
    if (seconds >= 0) {
      const late = await Promise.race([ended.then(() => false), after(seconds * 1000, timer.signal)]);
      if (late) await endedMeanwhile(task.kill(9, { all: true, ...cancellable }));
    }
    await ended;
  } finally {
    timer.abort();
    ended.catch(() => {});
  }
  internals.events.append("container", "stop", id, containerAttributes(record));
}

/** That it has ended by itself just now is no failure. */
async function endedMeanwhile(kill: Promise<void>): Promise<void> {
  try {
    await kill;
  } catch (error) {
    if (!isGantryError(error, "failed-precondition") && !isGantryError(error, "not-found")) throw error;
  }
}

function after(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1), true);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}
