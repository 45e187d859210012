/** The log of a container as the shim writes it: docker's json-file, or the lines that Kubernetes reads (CRI). */
import { object, oneOf, optional, record, string } from "../../base/decode.ts";
import { type ReadLinesOptions, readLines } from "../line-reader.ts";

export interface LogEntry {
  readonly stream: "stdout" | "stderr";
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  /** What the container wrote, with its newline if it wrote one; of a line longer than 16 KiB a part. */
  readonly text: string;
  /** The same as bytes: json-file keeps what is UTF-8, the other formats keep everything. */
  readonly bytes: Uint8Array;
  /** Labels, variables and tag that `log` options asked for. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A point in time, or nanoseconds since 1970. */
export type LogTime = Date | bigint;

export interface LogRange {
  /** Only the last so many entries. */
  readonly tail?: number;
  readonly since?: LogTime;
  readonly until?: LogTime;
}

export interface ReadLogOptions extends LogRange {
  readonly format: "json" | "cri";
  readonly files: number;
  /** Follow until this is fulfilled. */
  readonly ended?: Promise<unknown>;
  readonly signal?: AbortSignal;
}

/** An escape for each byte of the longest line, with its attributes. */
const lineLimitBytes = 256 * 1024;

const jsonEntry = object({
  log: optional((value: unknown) => (typeof value === "string" ? value : "")),
  stream: oneOf("stdout", "stderr"),
  time: string,
  attrs: optional(record(string)),
});

/** One line of a json-file; undefined for what is none, such as the torn end that a power cut leaves. */
export function parseJsonLine(line: Buffer): LogEntry | undefined {
  try {
    const { log = "", stream, time, attrs = {} } = jsonEntry(JSON.parse(line.toString()), "");
    return { stream, time, text: log, bytes: Buffer.from(log), attributes: attrs };
  } catch {
    return undefined;
  }
}

const criHead = /^(\d{4}-\d\d-\d\dT\S{8,40}) (stdout|stderr) ([PF])(?::\S*)? /;

/** `TIME stdout F text`: F for the end of a line, P for a part of one. */
export function parseCriLine(line: Buffer): LogEntry | undefined {
  const head = criHead.exec(line.toString("latin1", 0, 100));
  if (!head) return undefined;
  const rest = line.subarray(head[0].length);
  const bytes = head[3] === "F" ? Buffer.concat([rest, Buffer.from("\n")]) : Buffer.from(rest);
  return {
    stream: head[2] as LogEntry["stream"],
    time: head[1]!,
    text: bytes.toString(),
    bytes,
    attributes: {},
  };
}

/** Nanoseconds since 1970; NaN times are before everything. */
export function nanoseconds(time: string): bigint {
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? "";
  const seconds = Date.parse(time.replace(/\.\d+/, ""));
  return BigInt(Number.isNaN(seconds) ? 0 : seconds) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

export function nanosecondsOf(time: LogTime): bigint {
  return typeof time === "bigint" ? time : BigInt(time.getTime()) * 1_000_000n;
}

/** The entries of the log at `path`, oldest first. */
export async function* readLog(path: string, options: ReadLogOptions): AsyncGenerator<LogEntry> {
  const { tail, files, ended, signal } = options;
  const since = options.since === undefined ? undefined : nanosecondsOf(options.since);
  const until = options.until === undefined ? undefined : nanosecondsOf(options.until);
  const parse = options.format === "cri" ? parseCriLine : parseJsonLine;
  const lines: ReadLinesOptions = {
    files,
    lineLimit: lineLimitBytes,
    ...(tail === undefined ? {} : { tail }),
    ...(ended ? { ended } : {}),
    ...(signal ? { signal } : {}),
  };
  for await (const line of readLines(path, lines)) {
    const entry = parse(line);
    if (!entry) continue;
    if (since !== undefined || until !== undefined) {
      const time = nanoseconds(entry.time);
      if (since !== undefined && time < since) continue;
      if (until !== undefined && time > until) return;
    }
    yield entry;
  }
}
