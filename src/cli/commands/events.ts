/** `gantry events`. */

import type { EngineEvent } from "../../engine/events.ts";
import { defineCommand } from "../command.ts";
import { matchesEvent } from "../event-filter.ts";
import { sanitize } from "../format/sanitize.ts";
import { compileTemplate } from "../format/template.ts";
import { parseTime } from "../format/units.ts";
import { list, parsed, text } from "../options.ts";

/** Names as in docker's events. */
function view(event: EngineEvent) {
  const seconds = Date.parse(event.time) / 1000;
  return {
    Type: event.kind,
    Action: event.action,
    Actor: { ID: event.id, Attributes: event.attributes },
    scope: "local",
    time: Math.floor(seconds),
    timeNano: Math.round(seconds * 1000) * 1_000_000,
  };
}

function plainLine(event: EngineEvent): string {
  const pairs = Object.keys(event.attributes)
    .sort()
    .map((key) => `${key}=${event.attributes[key]}`);
  return sanitize(`${event.time} ${event.kind} ${event.action} ${event.id} (${pairs.join(", ")})`);
}

export const events = defineCommand({
  name: "events",
  usage: "[OPTIONS]",
  summary: "Show what happens to containers and images",
  options: {
    filter: list("Filter output: type=, event=, container=, image=, label=KEY[=VALUE]", {
      short: "f",
      value: "filter",
    }),
    since: parsed("Show all events since a time or a duration ago", "string", parseTime),
    until: parsed("Stop at a time", "string", parseTime),
    format: text("Format output: 'json' or a Go TEMPLATE"),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [
    ["gantry events", "From now on, until you interrupt"],
    ["gantry events --since 1h --until 0s", "What happened in the last hour"],
    ["gantry events --filter event=die --filter label=team=a", "The ends of some containers"],
  ],
  async run(context, { values }) {
    const matches = matchesEvent(values.filter);
    const engine = await context.engine();
    const { since, until, format } = values;
    const template = format === undefined || format === "json" ? undefined : compileTemplate(format);
    const range = { ...(since ? { since } : {}), ...(until ? { until } : {}), signal: context.signal };
    for await (const event of engine.events(range)) {
      if (!matches(event)) continue;
      if (template) context.out(`${template.run(view(event))}\n`);
      else context.out(`${format === "json" ? JSON.stringify(view(event)) : plainLine(event)}\n`);
      if (context.closed) break;
    }
    return 0;
  },
});
