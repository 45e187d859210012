/**
 * Cleans up after killed processes: a shim that left its container, an executor that was killed in the middle of a
 * start. Loaded only when that has happened.
 */
import { recover, undoStart } from "../../tasks/recover.ts";
import type { Internals } from "../internals.ts";
import { cleanupPlan } from "./container-plan.ts";
import type { ContainerRecord } from "./container-record.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

async function means(internals: Internals, record: ContainerRecord) {
  const cleanup = await cleanupPlan(internals, record, readRuntimeConfig(internals, record.id));
  return { executor: internals.executor(), cleanup };
}

/** Ends a container whose shim was killed. Call with the lock held. */
export async function recoverLost(internals: Internals, record: ContainerRecord): Promise<void> {
  internals.logger.warn("the shim of a container was killed; cleaning up after it", { id: record.id });
  await recover(internals.containers.stateDirectory(record.id), await means(internals, record));
}

/** Undoes a start that its executor has not undone itself. Call with the lock held. */
export async function undoLostStart(internals: Internals, record: ContainerRecord): Promise<void> {
  await undoStart(internals.containers.stateDirectory(record.id), await means(internals, record));
}
