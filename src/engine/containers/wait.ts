/** Waits for the end of a container. */
import { isGantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { ExitRecord } from "../../tasks/records.ts";
import { lostExit } from "../../tasks/recover.ts";
import { taskState } from "../../tasks/task-state.ts";
import { type Internals, lockContainer } from "../internals.ts";
import type { LastRun } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { observe, settleLocked } from "./observe.ts";

export interface ContainerExit {
  /** Exit status, or 128 + the number of the signal. */
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** RFC 3339. */
  readonly finishedAt: string;
  readonly error?: string;
}

/** What is left to do once the shim has told the end: its container may have to be removed. */
export async function settleExit(
  internals: Internals,
  id: string,
  exit: ExitRecord,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ContainerExit> {
  {
    using _ = await lockContainer(internals, id, options);
    await settleLocked(internals, id);
  }
  return {
    exitCode: exit.code,
    oomKilled: exit.oomKilled,
    finishedAt: exit.exitedAt,
    ...(exit.error ? { error: exit.error } : {}),
  };
}

/**
 * Resolves when the container does not run: at once if it does not run now. Its end is in the record by then, and a
 * container that was to be removed is gone.
 */
export async function waitForContainer(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ContainerExit> {
  const dir = internals.containers.stateDirectory(id);
  const task = taskState(dir);
  let exit: ExitRecord;
  if (task.kind === "exited") exit = task.exit;
  else if (task.kind === "running" || task.kind === "lost") exit = await awaitEnd(internals, id, options);
  else {
    const observed = await observe(internals, id);
    if (!observed) throw noSuchContainer(id);
    if (observed.state.kind === "running") return await waitForContainer(internals, id, options);
    const { lastRun, createdAt } = observed.record;
    return lastRun ? exitOf(lastRun) : { exitCode: 0, oomKilled: false, finishedAt: createdAt };
  }
  return await settleExit(internals, id, exit, options);
}

/** Waits for the shim's word; where the shim is killed meanwhile, brings the container to its end. */
async function awaitEnd(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal },
): Promise<ExitRecord> {
  const dir = internals.containers.stateDirectory(id);
  try {
    return await openTask(dir).wait(options);
  } catch (error) {
    if (!isGantryError(error, "data-loss")) throw error;
    using _ = await lockContainer(internals, id, options);
    const record = await settleLocked(internals, id);
    // one that was to be removed has left nothing to read it from
    if (!record?.lastRun) return lostExit();
    const { exitCode, oomKilled, finishedAt, error: reason } = record.lastRun;
    return {
      code: exitCode,
      signal: exitCode > 128 ? exitCode - 128 : 0,
      oomKilled,
      exitedAt: finishedAt,
      ...(reason === undefined ? {} : { error: reason }),
    };
  }
}

function exitOf({ exitCode, oomKilled, finishedAt, error }: LastRun): ContainerExit {
  return { exitCode, oomKilled, finishedAt, ...(error === undefined ? {} : { error }) };
}
