/** Starts a container under a shim; the program that starts it has the first seat at its streams. */
import { setTimeout as pause } from "node:timers/promises";
import { isGantryError } from "../base/error.ts";
import type { Dialogue } from "../launch/dialogue.ts";
import { type Launched, type LaunchOptions, launchShim } from "../launch/launch.ts";
import type { ReadyPlan } from "../plan/ready-plan.ts";
import { attachmentOver, type Connection } from "./attachment.ts";
import { openTask } from "./open-task.ts";
import { undoStart } from "./recover.ts";
import type { Attachment, Task } from "./task.ts";
import { taskState } from "./task-state.ts";

export interface StartedTask {
  readonly task: Task;
  /** Number of the container's first process, as this process sees it. */
  readonly pid: number;
  /** The streams from the first byte on, if `attach` asked for any. */
  readonly attachment: Attachment | undefined;
}

function connectionOver(dialogue: Dialogue): Connection {
  return {
    send: (request, options) => dialogue.stream.send(request, options),
    next: (options) => dialogue.stream.next(options),
    close: () => dialogue.close(),
  };
}

/**
 * Runs a plan that ends in `supervise` and whose records and socket lie in `dir`. Resolves when the
 * program runs; a failure before that has been undone. The container outlives this program.
 */
export async function startTask(plan: ReadyPlan, dir: string, options: LaunchOptions): Promise<StartedTask> {
  const { pid, dialogue } = await launchOrUndo(plan, dir, options);
  const task = openTask(dir);
  if (options.attach) return { task, pid, attachment: attachmentOver(connectionOver(dialogue)) };
  dialogue.close();
  return { task, pid, attachment: undefined };
}

/** An executor undoes its own failures; one that was killed leaves that to us. */
async function launchOrUndo(plan: ReadyPlan, dir: string, options: LaunchOptions): Promise<Launched> {
  try {
    return await launchShim(plan, options);
  } catch (error) {
    const killed = isGantryError(error, "unavailable");
    // its end of the dialogue closes a moment before it is dead
    const deadline = Date.now() + 5000;
    while (killed && taskState(dir).kind === "running" && Date.now() < deadline) await pause(1);
    if (killed || taskState(dir).kind === "lost")
      await undoStart(dir, { executor: options.executor, cleanup: plan.plan() });
    throw error;
  }
}
