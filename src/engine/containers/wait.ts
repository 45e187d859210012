/** Waits for the end of a container. */
import { openTask } from "../../tasks/open-task.ts";
import { taskState } from "../../tasks/task-state.ts";
import { type Internals, lockContainer } from "../internals.ts";
import type { LastRun } from "./container-record.ts";
import { observe, settleLocked } from "./observe.ts";

export interface ContainerExit {
  /** Exit status, or 128 + the number of the signal. */
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** RFC 3339. */
  readonly finishedAt: string;
  readonly error?: string;
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
  if (taskState(dir).kind !== "running") {
    const observed = await observe(internals, id);
    if (observed && observed.state.kind !== "running")
      return (
        exitOf(observed.record.lastRun) ?? {
          exitCode: 0,
          oomKilled: false,
          finishedAt: observed.record.createdAt,
        }
      );
  }
  const exit = await openTask(dir).wait(options);
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

function exitOf(run: LastRun | undefined): ContainerExit | undefined {
  if (!run) return undefined;
  const { exitCode, oomKilled, finishedAt, error } = run;
  return { exitCode, oomKilled, finishedAt, ...(error === undefined ? {} : { error }) };
}
