/** Ends one process that a record names, and waits for its end. */
import { setTimeout as pause } from "node:timers/promises";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { isAlive } from "./liveness.ts";
import type { ProcessIdentity } from "./records.ts";

/** Nothing happens to a process that has got the number since. `what` is what cannot be done if it does not end. */
export async function endProcess(
  process_: ProcessIdentity,
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (isAlive(process_)) {
    if (Date.now() > deadline)
      throw new GantryError("deadline-exceeded", `${what}: process ${process_.pid} does not end`);
    try {
      process.kill(process_.pid, "SIGKILL");
    } catch (error) {
      if (errnoOf(error) !== "ESRCH") throw wrapErrno(error, `kill process ${process_.pid}`);
    }
    await pause(2, undefined, signal ? { signal } : {});
  }
}
