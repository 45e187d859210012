/** Follows the health of one run of a container, for as long as that goes on. */
import { setTimeout as sleep } from "node:timers/promises";
import { containerAttributes } from "../containers/event-attributes.ts";
import { afterProbe, type HealthCheck, untilNextProbe } from "../containers/health-check.ts";
import { readHealth, writeHealth } from "../containers/health-file.ts";
import { observe } from "../containers/observe.ts";
import type { Internals } from "../internals.ts";
import { probeHealth } from "./probe.ts";

/** Resolves when the run is over, or `signal` aborts. */
export async function followHealth(internals: Internals, id: string, signal: AbortSignal): Promise<void> {
  const first = await runOf(internals, id);
  if (!first) return;
  const { check, startedAt } = first;
  for (;;) {
    const now = await runOf(internals, id);
    if (now?.startedAt !== startedAt) return;
    const last = now.health.log.at(-1)?.end ?? startedAt;
    const due = Date.parse(last) + untilNextProbe(check, now.health, startedAt, Date.now());
    if (!(await pause(due - Date.now(), signal))) return;
    // nobody answers who stands still
    if (now.paused) continue;
    await probe(internals, id, { check, startedAt, signal });
  }
}

/** The run that goes on now. */
async function runOf(internals: Internals, id: string) {
  const observed = await observe(internals, id);
  if (observed?.state.kind !== "running" || !observed.record.healthCheck) return undefined;
  const { record, state } = observed;
  const check: HealthCheck = observed.record.healthCheck;
  const health = readHealth(internals, record)!;
  return { record, check, health, startedAt: state.start.startedAt, paused: state.paused };
}

async function probe(
  internals: Internals,
  id: string,
  run: { readonly check: HealthCheck; readonly startedAt: string; readonly signal: AbortSignal },
): Promise<void> {
  const { check, startedAt, signal } = run;
  const result = await probeHealth(internals, id, check, signal);
  const now = await runOf(internals, id);
  // it ended while it was asked: what it said then is no news
  if (now?.startedAt !== startedAt) return;
  const health = afterProbe(check, now.health, startedAt, result);
  writeHealth(internals, id, health);
  if (health.status === now.health.status) return;
  internals.events.append(
    "container",
    `health_status: ${health.status}`,
    id,
    containerAttributes(now.record),
  );
}

/** At least a moment, so that a clock that was set back cannot make it spin. False if `signal` aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(Math.max(1, Math.min(ms, 2 ** 31 - 1)), undefined, { signal });
    return true;
  } catch {
    return false;
  }
}
