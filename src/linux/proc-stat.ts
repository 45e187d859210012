/** /proc/PID/stat (proc_pid_stat(5)): the facts that tell one process from another. */
import { GantryError } from "../base/error.ts";

export interface ProcStat {
  readonly pid: number;
  /** The name of the executable, at most 15 bytes; it may hold any character. */
  readonly comm: string;
  /** R, S, D, T, t, Z, X, I, … */
  readonly state: string;
  readonly parentPid: number;
  readonly processGroup: number;
  readonly session: number;
  /** Clock ticks since boot: with the pid, the identity of a process. */
  readonly startTime: number;
}

/** Parses the one line of /proc/PID/stat. */
export function parseProcStat(text: string): ProcStat {
  const open = text.indexOf("(");
  // the name may hold spaces and parentheses itself, so its end is the last one
  const close = text.lastIndexOf(")");
  const pid = Number(text.slice(0, open).trim());
  const rest = text
    .slice(close + 1)
    .trim()
    .split(/\s+/);
  // rest[0] is field 3
  const startTime = Number(rest[19]);
  if (open < 1 || close < open || !(pid > 0) || rest.length < 20 || !Number.isSafeInteger(startTime))
    throw new GantryError(
      "data-loss",
      `parse process stat: malformed line ${JSON.stringify(text.slice(0, 200))}`,
    );
  return {
    pid,
    comm: text.slice(open + 1, close),
    state: rest[0]!,
    parentPid: Number(rest[1]),
    processGroup: Number(rest[2]),
    session: Number(rest[3]),
    startTime,
  };
}

/** Whether a process in this state has ended: a zombie waits to be reaped, X is its last moment. */
export function hasEnded(stat: Pick<ProcStat, "state">): boolean {
  return stat.state === "Z" || stat.state === "X" || stat.state === "x";
}
