/** Prints the log of a container, or of several, as the options of `logs` ask for. */
import type { LogEntry } from "../engine/containers/log-reader.ts";
import type { LogsOptions } from "../engine/containers/logs.ts";
import type { CommandContext } from "./context.ts";
import { parseNanoTime } from "./format/units.ts";
import { Gather } from "./gather.ts";
import { flag, parsed, type ValuesOf } from "./options.ts";

const lines = (text: string): number => {
  if (text === "all" || text === "-1") return -1;
  if (!/^\d+$/.test(text)) throw new Error("must be a number of lines or 'all'");
  return Number(text);
};

/** Of every command that shows logs. */
export const logOptions = {
  follow: flag("Follow log output until the container ends", { short: "f" }),
  since: parsed(
    'Show logs since a time (e.g. "2026-01-02T13:23:37Z") or a duration ago (e.g. "42m")',
    "string",
    parseNanoTime,
  ),
  until: parsed(
    'Show logs before a time (e.g. "2026-01-02T13:23:37Z") or a duration ago (e.g. "42m")',
    "string",
    parseNanoTime,
  ),
  timestamps: flag("Show timestamps", { short: "t" }),
};

/** Another letter with each command. */
export const tailOption = (short: { readonly short?: string } = {}) =>
  parsed('Number of lines to show from the end of the logs (default "all")', "string", lines, short);

export function logRange(
  { tail, since, until, follow }: ValuesOf<typeof logOptions> & { readonly tail: number | undefined },
  signal: AbortSignal,
): LogsOptions {
  return {
    follow,
    ...(tail === undefined || tail < 0 ? {} : { tail }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    signal,
  };
}

/** Each entry behind what `head` says of it. */
export async function printLog<E extends LogEntry>(
  context: CommandContext,
  entries: AsyncIterable<E>,
  head: (entry: E) => string,
): Promise<void> {
  const gather = new Gather(context);
  try {
    for await (const entry of entries) {
      const before = head(entry);
      const line = before === "" ? entry.bytes : Buffer.concat([Buffer.from(before), entry.bytes]);
      gather.write(entry.stream === "stdout" ? "out" : "err", line);
      if (context.closed) break;
    }
  } finally {
    gather.flush();
  }
}

/** Nine digits of the second, so that the lines stand in columns. */
export function fixedTime(time: string): string {
  const parts = /^([^.Z+]+)(?:\.(\d+))?(.*)$/.exec(time);
  return parts ? `${parts[1]}.${(parts[2] ?? "").padEnd(9, "0")}${parts[3]}` : time;
}
