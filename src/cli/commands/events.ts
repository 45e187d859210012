/** `gantry events`. */

import type { EngineEvent } from "../../engine/events.ts";
import { defineCommand } from "../command.ts";
import { matchesEvent } from "../event-filter.ts";
import { sanitize } from "../format/sanitize.ts";
import { asMap, compileTemplate } from "../format/template.ts";
import { parseTime } from "../format/units.ts";
import { list, parsed, text } from "../options.ts";

/** Names as in docker's events, the old ones too. */
function view(event: EngineEvent) {
  const milliseconds = Date.parse(event.time);
  const image = event.kind === "container" ? event.attributes.image : undefined;
  return {
    status: event.action,
    id: event.id,
    ...(image === undefined ? {} : { from: image }),
    Type: event.kind,
    Action: event.action,
    Actor: { ID: event.id, Attributes: asMap(event.attributes) },
    scope: "local",
    time: Math.floor(milliseconds / 1000),
    timeNano: milliseconds * 1_000_000,
  };
}

/** What templates know: the fields of docker's program, which are not those of its JSON. */
function templateView(event: EngineEvent) {
  const { status, id, from = "", time, timeNano, scope, ...rest } = view(event);
  return { ...rest, Status: status, ID: id, From: from, Scope: scope, Time: time, TimeNano: timeNano, time };
}

/** `2026-01-02T03:04:05.006000000+01:00`: local time, with nanoseconds. */
function localTime(time: string): string {
  const date = new Date(time);
  const minutes = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, 23);
  const two = (value: number) => String(Math.floor(Math.abs(value))).padStart(2, "0");
  const zone = minutes === 0 ? "Z" : `${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
  return `${local}000000${zone}`;
}

function plainLine(event: EngineEvent): string {
  const pairs = Object.keys(event.attributes)
    .sort()
    .map((key) => `${key}=${event.attributes[key]}`);
  return sanitize(`${localTime(event.time)} ${event.kind} ${event.action} ${event.id} (${pairs.join(", ")})`);
}

export const events = defineCommand({
  name: "events",
  usage: "[OPTIONS]",
  summary: "Show what happens to containers and images",
  options: {
    filter: list(
      "Filter output: type=, event=, container=, image=, label=KEY[=VALUE], scope=, volume=, network=",
      {
        short: "f",
        value: "filter",
      },
    ),
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
      if (template) context.out(`${template.run(templateView(event))}\n`);
      else context.out(`${format === "json" ? JSON.stringify(view(event)) : plainLine(event)}\n`);
      if (context.closed) break;
    }
    return 0;
  },
});
