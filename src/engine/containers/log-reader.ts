/** The log of a container, in docker's json-file format, as the shim writes it. */
import { oneOf, string } from "../../base/decode.ts";
import { type ReadLinesOptions, readLines } from "../line-reader.ts";

export interface LogEntry {
  readonly stream: "stdout" | "stderr";
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  /** What the container wrote, with its newline if it wrote one. */
  readonly text: string;
}

export interface LogRange {
  /** Only the last so many entries. */
  readonly tail?: number;
  readonly since?: Date;
  readonly until?: Date;
}

export interface ReadLogOptions extends LogRange {
  readonly files: number;
  /** Follow until this is fulfilled. */
  readonly ended?: Promise<unknown>;
  readonly signal?: AbortSignal;
}

const stream = oneOf("stdout", "stderr");

/** One line of the file; undefined for what is none, such as the torn end that a power cut leaves. */
export function parseLogLine(line: string): LogEntry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return undefined;
    const { log, stream: name, time } = value as Record<string, unknown>;
    if (typeof log !== "string") return undefined;
    return { stream: stream(name, "/stream"), time: string(time, "/time"), text: log };
  } catch {
    return undefined;
  }
}

/** The entries of the log at `path`, oldest first. */
export async function* readLog(path: string, options: ReadLogOptions): AsyncGenerator<LogEntry> {
  const { since, until, tail, files, ended, signal } = options;
  const lines: ReadLinesOptions = {
    files,
    ...(tail === undefined ? {} : { tail }),
    ...(ended ? { ended } : {}),
    ...(signal ? { signal } : {}),
  };
  for await (const line of readLines(path, lines)) {
    const entry = parseLogLine(line.toString());
    if (!entry) continue;
    const time = Date.parse(entry.time);
    if (since && time < since.getTime()) continue;
    if (until && time > until.getTime()) {
      if (ended) continue;
      return;
    }
    yield entry;
  }
}
