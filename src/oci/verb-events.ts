/** events: what a container uses, at intervals, and when the kernel kills in it for want of memory. */

import { GantryError } from "../base/error.ts";
import { exactJson } from "../spec/runtime-integers.ts";
import { readStats } from "./container-stats.ts";
import type { OciContext, Verb } from "./context.ts";
import { usageError } from "./flags.ts";
import { OomKills } from "./oom-kills.ts";
import { isAlive, type OciContainer, readContainer } from "./state-directory.ts";

/** How often it is asked whether the container lives, and on v1 whether something was killed. */
const lookMs = 100;

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 36e5,
};

/** "5s", "1m30s", "500ms", as Go writes durations. */
export function durationMs(text: string): number {
  const wanted = /^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/;
  if (text === "0") return 0;
  let rest = text.replace(/^[+-]/, "");
  let total = 0;
  do {
    const part = wanted.exec(rest);
    if (!part) throw usageError(`invalid value ${JSON.stringify(text)} for flag -interval: parse error`);
    total += Number(part[1]) * unitMs[part[3]!]!;
    rest = rest.slice(part[0].length);
  } while (rest !== "");
  return text.startsWith("-") ? -total : total;
}

function tell(context: OciContext, type: "stats" | "oom", id: string, data?: object): void {
  context.print(`${exactJson({ type, id, ...(data ? { data } : {}) })}\n`);
}

async function follow(context: OciContext, container: OciContainer, intervalMs: number): Promise<void> {
  const { id } = container;
  const kills = new OomKills(container.cgroups);
  const look = () => {
    for (let fresh = kills.take(); fresh > 0; fresh--) tell(context, "oom", id);
  };
  using _watching = kills.watch(look);
  await new Promise<void>((resolve, reject) => {
    const timers = [
      setInterval(() => act(() => tell(context, "stats", id, readStats(container))), intervalMs),
      setInterval(() => {
        // first whether it lives: what was killed before its end is seen by the look that follows
        const alive = isAlive(container);
        act(look);
        if (!alive) end(resolve);
      }, lookMs),
    ];
    const end = (settle: () => void) => {
      for (const timer of timers) clearInterval(timer);
      settle();
    };
    const act = (what: () => void) => {
      try {
        what();
      } catch (error) {
        end(() => reject(error));
      }
    };
  });
}

export const events: Verb = {
  usage: "events [flags] <container-id>",
  help: "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
  flags: {
    interval: { kind: "text", help: "time between two statistics (default: 5s)" },
    stats: { kind: "switch", help: "display the container's statistics once, then end" },
  },
  arguments: [1, 1],
  async run(context, flags) {
    const container = readContainer(context.root, flags.rest[0]!);
    const intervalMs = durationMs(flags.text("interval") ?? "5s");
    if (intervalMs <= 0) throw usageError("duration interval must be greater than 0");
    if (container.status === "stopped")
      throw new GantryError("failed-precondition", `container with id ${container.id} is not running`);
    if (flags.has("stats")) tell(context, "stats", container.id, readStats(container));
    else await follow(context, container, intervalMs);
    return 0;
  },
};
