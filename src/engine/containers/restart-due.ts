/** Restarts by policy, when they are due. */

import { bootId } from "../boot.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { settleLocked } from "./observe.ts";
import { restarted, startsWithMachine, withoutRestarts } from "./restart-policy.ts";
import { startLocked } from "./start.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

/**
 * Starts a container whose restart is due. Says when to come again if it is not yet, and undefined where nothing is
 * left to do: it was started, stopped or removed meanwhile.
 */
export async function restartIfDue(
  internals: Internals,
  id: string,
  options: Cancellable = {},
): Promise<Date | undefined> {
  using _ = await lockContainer(internals, id, options);
  const record = await settleLocked(internals, id);
  if (!record?.restart) return undefined;
  const due = new Date(record.restart.at);
  if (due.getTime() > Date.now()) return due;
  await startLocked(internals, restarted(record), { ...options, attach: false });
  return undefined;
}

/** Starts what comes up with the machine, in a boot after the one in which it was stopped. */
export async function startWithMachine(
  internals: Internals,
  id: string,
  options: Cancellable = {},
): Promise<void> {
  const boot = bootId();
  const seen = internals.containers.read(id);
  if (!seen || !startsWithMachine(seen, boot)) return;
  using _ = await lockContainer(internals, id, options);
  const record = await settleLocked(internals, id);
  if (!record || record.startedInBoot || !startsWithMachine(record, boot)) return;
  await startLocked(internals, withoutRestarts(record), { ...options, attach: false });
}
