/**
 * Cleans up after killed processes: a shim that left its container, an executor that was killed in the middle of a
 * start. Loaded only when that has happened.
 */
import { type RecoverOptions, recover, undoStart } from "../../tasks/recover.ts";
import type { Internals } from "../internals.ts";
import { cleanupPlan } from "./container-plan.ts";
import type { ContainerRecord } from "./container-record.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

async function means(internals: Internals, record: ContainerRecord) {
  const cleanup = await cleanupPlan(internals, record, readRuntimeConfig(internals, record.id));
  return { executor: internals.executor(), cleanup };
}

/** Another runtime has a part in it, but may be gone. */
async function ending(
  internals: Internals,
  record: ContainerRecord,
  end: (options: RecoverOptions) => Promise<void>,
): Promise<void> {
  const options = await means(internals, record);
  if (!record.runtime) {
    await end(options);
    return;
  }
  const { withOrWithoutRuntime } = await import("./forget-foreign.ts");
  const { executor } = options;
  await withOrWithoutRuntime(internals, record, ({ runtime }) => end(runtime ? options : { executor }));
}

/** Ends a container whose shim was killed. Call with the lock held. */
export async function recoverLost(internals: Internals, record: ContainerRecord): Promise<void> {
  internals.logger.warn("the shim of a container was killed; cleaning up after it", { id: record.id });
  const dir = internals.containers.stateDirectory(record.id);
  await ending(internals, record, async (options) => void (await recover(dir, options)));
}

/** Undoes a start that its executor has not undone itself. Call with the lock held. */
export async function undoLostStart(internals: Internals, record: ContainerRecord): Promise<void> {
  const dir = internals.containers.stateDirectory(record.id);
  await ending(internals, record, (options) => undoStart(dir, options));
}
