/** Whether a process that a record names still lives: pids are reused, start times are not. */
import { readFileSync } from "node:fs";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { hasEnded, parseProcStat } from "../linux/proc-stat.ts";
import type { ProcessIdentity } from "./records.ts";

/** False for a zombie too: it runs no more. */
export function isAlive(process: ProcessIdentity): boolean {
  const path = `/proc/${process.pid}/stat`;
  try {
    const stat = parseProcStat(readFileSync(path, "utf8"));
    return stat.startTime === process.startTime && !hasEnded(stat);
  } catch (error) {
    // ESRCH: it ended between open and read
    if (["ENOENT", "ESRCH"].includes(errnoOf(error) ?? "")) return false;
    throw wrapErrno(error, "read process", path);
  }
}
