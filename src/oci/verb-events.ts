/** events: what a container uses, at intervals, and when the kernel kills in it for want of memory. */

import { GantryError } from "../base/error.ts";
import { compileWatchMemory } from "../plan/compile/watch-memory.ts";
import { exactJson } from "../spec/runtime-integers.ts";
import { readStats } from "./container-stats.ts";
import type { OciContext, Verb } from "./context.ts";
import { executePlanHere } from "./execute-plan.ts";
import { usageError } from "./flags.ts";
import { OomKills } from "./oom-kills.ts";
import { isAlive, type OciContainer, readContainer } from "./state-directory.ts";

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
  const { id, pid, pidStart } = container;
  const kills = new OomKills(container.cgroups);
  const look = () => {
    for (let fresh = kills.take(); fresh > 0; fresh--) tell(context, "oom", id);
  };
  const failed = new AbortController();
  const timer = setInterval(() => {
    try {
      tell(context, "stats", id, readStats(container));
      look();
    } catch (error) {
      failed.abort(error);
    }
  }, intervalMs);
  let stands = false;
  try {
    await executePlanHere(compileWatchMemory({ pid, start: pidStart }, kills.cgroup), {
      signal: failed.signal,
      onSync: (_point, count) => {
        stands = true;
        kills.tell(count);
        look();
      },
    });
    // what was counted last
    look();
  } catch (error) {
    // it may have ended before it could be watched
    if (stands || isAlive(container)) throw error;
    look();
  } finally {
    clearInterval(timer);
  }
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
