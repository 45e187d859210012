/** `gantry logs`. */
import type { LogEntry } from "../../engine/containers/log-reader.ts";
import { defineCommand } from "../command.ts";
import { parseNanoTime } from "../format/units.ts";
import { Gather } from "../gather.ts";
import { flag, parsed } from "../options.ts";

const lines = (text: string): number => {
  if (text === "all" || text === "-1") return -1;
  if (!/^\d+$/.test(text)) throw new Error("must be a number of lines or 'all'");
  return Number(text);
};

export const logs = defineCommand({
  name: "logs",
  usage: "[OPTIONS] CONTAINER",
  summary: "Fetch the logs of a container",
  options: {
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
    tail: parsed('Number of lines to show from the end of the logs (default "all")', "string", lines, {
      short: "n",
    }),
    timestamps: flag("Show timestamps", { short: "t" }),
    details: flag("Show what `--log-opt` added: labels, variables, tag"),
  },
  minArguments: 1,
  maxArguments: 1,
  examples: [
    ["gantry logs -f web", "What it has printed and what it goes on to print"],
    ["gantry logs --tail 20 -t web", "The last 20 lines with their times"],
    ["gantry logs --since 5m web", "The last five minutes"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const container = await engine.container(positionals[0]!, { signal: context.signal });
    const { tail, since, until, follow } = values;
    const entries = container.logs({
      follow,
      ...(tail === undefined || tail < 0 ? {} : { tail }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      signal: context.signal,
    });
    const gather = new Gather(context);
    try {
      for await (const entry of entries) {
        const head =
          (values.timestamps ? `${fixedTime(entry.time)} ` : "") +
          (values.details ? `${detailsOf(entry.attributes)} ` : "");
        const line = head === "" ? entry.bytes : Buffer.concat([Buffer.from(head), entry.bytes]);
        gather.write(entry.stream === "stdout" ? "out" : "err", line);
        if (context.closed) break;
      }
    } finally {
      gather.flush();
    }
    return 0;
  },
});

/** Nine digits of the second, so that the lines stand in columns. */
function fixedTime(time: string): string {
  const parts = /^([^.Z+]+)(?:\.(\d+))?(.*)$/.exec(time);
  return parts ? `${parts[1]}.${(parts[2] ?? "").padEnd(9, "0")}${parts[3]}` : time;
}

/** `name=value,name=value` in order, escaped as in a query. */
function detailsOf(attributes: LogEntry["attributes"]): string {
  return Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${queryEscape(name)}=${queryEscape(value)}`)
    .join(",");
}

/** Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}
