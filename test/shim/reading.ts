/** What tests read of a shim: its memory, its log. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readStartRecord } from "../../src/tasks/records.ts";
import { until } from "../lib/until.ts";

/** Whether the executor under test carries sanitizers: its memory says nothing then. */
export const sanitized = process.env.GANTRY_SANITIZED === "1";

export function shimPid(dir: string): number {
  const record = readStartRecord(dir);
  if (!record) throw new Error(`${dir} has no start record`);
  return record.shim.pid;
}

/** Resident memory in KiB, all of it and the part that it shares with nobody (proc_pid_smaps_rollup(5)). */
export function memoryOf(pid: number): { rss: number; pss: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(text)?.[1]);
  return { rss: field("Rss"), pss: field("Pss") };
}

export interface LogEntry {
  readonly log: string;
  readonly stream: "stdout" | "stderr";
  readonly time: string;
}

/** Entries of a json-file log, the rotated files first. */
export function jsonEntries(dir: string, files = 1): readonly LogEntry[] {
  const names = Array.from({ length: files }, (_, index) => (index === 0 ? "log" : `log.${index}`)).reverse();
  return names.flatMap((name) => {
    let text: string;
    try {
      text = readFileSync(join(dir, name), "utf8");
    } catch {
      return [];
    }
    if (text !== "" && !text.endsWith("\n")) throw new Error(`${name} ends in half an entry`);
    return text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as LogEntry);
  });
}

/** Everything that a stream printed, as the log tells it. */
export function logged(dir: string, stream: "stdout" | "stderr" = "stdout", files = 1): string {
  return jsonEntries(dir, files)
    .filter((entry) => entry.stream === stream)
    .map((entry) => entry.log)
    .join("");
}

/** True when the process is gone or waits to be reaped. */
export function isOver(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}

export async function untilOver(pid: number): Promise<void> {
  await until(`process ${pid} to end`, () => isOver(pid));
}
