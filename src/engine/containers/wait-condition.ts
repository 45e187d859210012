/** Waits for more than that a container does not run: its next end, or its removal. */
import { GantryError, isGantryError } from "../../base/error.ts";
import type { EngineEvent } from "../events.ts";
import type { Internals } from "../internals.ts";
import { noSuchContainer } from "./container-store.ts";
import { type ContainerState, observe } from "./observe.ts";
import { type ContainerExit, waitForContainer } from "./wait.ts";

/** What to wait for, in the words of docker's API. */
export const waitConditions = ["not-running", "next-exit", "removed"] as const;
export type WaitCondition = (typeof waitConditions)[number];

interface Cancellable {
  readonly signal?: AbortSignal;
}

/** not-found if there is no such container; one that goes while it is waited for fulfils every condition. */
export async function waitForCondition(
  internals: Internals,
  id: string,
  condition: WaitCondition,
  options: Cancellable = {},
): Promise<ContainerExit> {
  if (condition === "not-running") return await waitForContainer(internals, id, options);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  // from before the first look on: nothing can happen between the two
  const events = internals.events.read({ since: new Date(), signal })[Symbol.asyncIterator]();
  try {
    const first = await observe(internals, id);
    if (!first) throw noSuchContainer(id);
    let exit = exitOf(first.state);
    for (let runs = first.state.kind === "running"; ; ) {
      const ended = runs ? await endOf(internals, id, options) : undefined;
      exit = ended ?? exit;
      if (ended && condition === "next-exit") return exit;
      // one that is gone has told its end to who took it over
      const event = await nextOf(events, id, signal);
      runs = event.action === "start";
      if (event.action === "destroy") return exit;
      if (event.action !== "die") continue;
      const exitCode = Number(event.attributes.exitCode ?? 0);
      exit = { exitCode, oomKilled: false, finishedAt: event.time };
      if (condition === "next-exit") return exit;
    }
  } finally {
    stop.abort();
    // the reader may be asleep: it ends by the signal
    Promise.resolve(events.return?.(undefined)).catch(() => {});
  }
}

function exitOf(state: ContainerState): ContainerExit {
  if (state.kind !== "exited") return { exitCode: 0, oomKilled: false, finishedAt: new Date().toISOString() };
  const { exitCode, oomKilled, finishedAt, error } = state.run;
  return { exitCode, oomKilled, finishedAt, ...(error === undefined ? {} : { error }) };
}

/** Undefined if it is gone by now. */
async function endOf(
  internals: Internals,
  id: string,
  options: Cancellable,
): Promise<ContainerExit | undefined> {
  try {
    return await waitForContainer(internals, id, options);
  } catch (error) {
    if (!isGantryError(error, "not-found")) throw error;
    return undefined;
  }
}

async function nextOf(
  events: AsyncIterator<EngineEvent>,
  id: string,
  signal: AbortSignal,
): Promise<EngineEvent> {
  for (;;) {
    const { done, value } = await events.next();
    if (done) {
      signal.throwIfAborted();
      throw new GantryError("internal", "wait for container: the events ended");
    }
    if (value.id === id && ["start", "die", "destroy"].includes(value.action)) return value;
  }
}
