/** `gantry logs`. */
import { defineCommand } from "../command.ts";
import { parseTime } from "../format/units.ts";
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
      parseTime,
    ),
    until: parsed(
      'Show logs before a time (e.g. "2026-01-02T13:23:37Z") or a duration ago (e.g. "42m")',
      "string",
      parseTime,
    ),
    tail: parsed('Number of lines to show from the end of the logs (default "all")', "string", lines, {
      short: "n",
    }),
    timestamps: flag("Show timestamps", { short: "t" }),
    details: flag("Accepted; there are no extra details", { hidden: true }),
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
      ...(since ? { since } : {}),
      ...(until ? { until } : {}),
      signal: context.signal,
    });
    for await (const { stream, time, text } of entries) {
      const line = values.timestamps ? `${time} ${text}` : text;
      if (stream === "stdout") context.out(line);
      else context.err(line);
      if (context.closed) break;
    }
    return 0;
  },
});
