/** Sends a signal to a container. */
import { GantryError } from "../../base/error.ts";
import { parseSignal } from "../../linux/signals.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { containerAttributes } from "./event-attributes.ts";
import { holdBack } from "./hold-back.ts";
import { observe } from "./observe.ts";

/** A signal by name ("TERM", "SIGTERM") or number. */
export type SignalName = string | number;

/** The number of a signal; invalid-argument in docker's words if there is none such. */
export function signalNumber(signal: SignalName): number {
  const number = parseSignal(String(signal));
  if (number === undefined) throw new GantryError("invalid-argument", `invalid signal: ${signal}`);
  return number;
}

/** What is said of a container that should run and does not. */
export function notRunning(verb: string, record: ContainerRecord): GantryError {
  return new GantryError(
    "failed-precondition",
    `cannot ${verb} container: ${record.name}: container ${record.id} is not running`,
    { detail: { id: record.id, name: record.name } },
  );
}

const sigkill = 9;

/**
 * Hands a signal to a container that runs. A paused one gets it when it goes on: at once for a signal that is to end
 * it, and for any if nobody has said which one that is.
 */
export async function sendSignal(
  internals: Internals,
  record: ContainerRecord,
  number: number,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { id } = record;
  // the container's own signals go to its first process; KILL ends all of it, also what joined from outside
  const all = number === sigkill;
  if (record.runtime && !all)
    await (await import("./foreign-runtime.ts")).killForeign(internals, record, number, options);
  else await openTask(internals.containers.stateDirectory(id)).kill(number, { all, ...options });
  internals.events.append("container", "kill", id, {
    ...containerAttributes(record),
    signal: String(number),
  });
  const ends = number === sigkill || number === record.stopSignal || !choosesStopSignal(record);
  if (!ends) return;
  const { thawForSignal } = await import("./freeze.ts");
  await thawForSignal(internals, record, options);
}

function choosesStopSignal({ options, stopSignal }: ContainerRecord): boolean {
  return stopSignal !== signalNumber("TERM") || "stopSignal" in options;
}

export async function killContainer(
  internals: Internals,
  id: string,
  signal: SignalName,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const number = signalNumber(signal);
  const observed = await observe(internals, id);
  if (!observed) throw noSuchContainer(id);
  const { record, state } = observed;
  if (state.kind !== "running") throw notRunning("kill", record);
  // a signal that is meant to end it
  if (number === 9 || number === record.stopSignal) await holdBack(internals, id, options);
  await sendSignal(internals, record, number, options);
}
