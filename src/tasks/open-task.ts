/** Opens the container of a run-time directory, whoever started it. */
import { ShimTask } from "./shim-task.ts";
import type { Task } from "./task.ts";

/** `dir` was made for one start of a container: start.json, exit.json and shim.sock are in it. */
export function openTask(dir: string): Task {
  return new ShimTask(dir);
}
