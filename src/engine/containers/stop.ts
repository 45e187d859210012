/** Asks a container to end, and kills it if it does not within its time. */

import { isGantryError } from "../../base/error.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { attributesNow } from "./event-attributes.ts";
import { holdBack } from "./hold-back.ts";
import { type SignalName, sendSignal, signalNumber } from "./kill.ts";
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
  // what is no signal is told before anything is done
  if (options.stopSignal !== undefined) signalNumber(options.stopSignal);
  await holdBack(internals, id, options);
  const observed = await observe(internals, id);
  if (observed?.state.kind !== "running") return;
  const cancellable = options.signal ? { signal: options.signal } : {};
  await endRun(internals, observed.record, options, () => waitForContainer(internals, id, cancellable));
  internals.events.append("container", "stop", id, attributesNow(internals, observed.record));
}

/** Ends a container that runs, in its time or by force; `wait` resolves at its end. */
export async function endRun(
  internals: Internals,
  record: ContainerRecord,
  options: StopOptions,
  wait: () => Promise<unknown>,
): Promise<void> {
  const asked = options.stopSignal === undefined ? record.stopSignal : signalNumber(options.stopSignal);
  const cancellable = options.signal ? { signal: options.signal } : {};
  const seconds = options.timeoutSeconds ?? record.stopTimeoutSeconds;
  const timer = new AbortController();
  const ended = wait();
  try {
    await endedMeanwhile(sendSignal(internals, record, asked, cancellable));
    if (seconds >= 0) {
      const late = await Promise.race([ended.then(() => false), after(seconds * 1000, timer.signal)]);
      if (late) await endedMeanwhile(sendSignal(internals, record, 9, cancellable));
    }
    await ended;
  } finally {
    timer.abort();
    ended.catch(() => {});
  }
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
