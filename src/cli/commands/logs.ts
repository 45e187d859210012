/** `gantry logs`. */
import type { LogEntry } from "../../engine/containers/log-reader.ts";
import { defineCommand } from "../command.ts";
import { fixedTime, logOptions, logRange, printLog, tailOption } from "../log-lines.ts";
import { flag } from "../options.ts";

export const logs = defineCommand({
  name: "logs",
  usage: "[OPTIONS] CONTAINER",
  summary: "Fetch the logs of a container",
  options: {
    ...logOptions,
    tail: tailOption({ short: "n" }),
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
    const entries = container.logs(logRange(values, context.signal));
    await printLog(
      context,
      entries,
      ({ time, attributes }) =>
        (values.timestamps ? `${fixedTime(time)} ` : "") +
        (values.details ? `${detailsOf(attributes)} ` : ""),
    );
    return 0;
  },
});

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
