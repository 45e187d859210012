/** What a health check is, and what its probes say of a container, as docker has it. Pure. */
import { array, type Decoded, integer, object, oneOf, string } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import type { ImageHealthcheck } from "../../spec/image-config.ts";

/** Milliseconds. */
export const healthCheck = object({
  /** A program and its arguments, run in the container. */
  command: array(string),
  intervalMs: integer(0),
  timeoutMs: integer(0),
  /** After the start: failures do not count yet, unless a probe has succeeded. */
  startPeriodMs: integer(0),
  /** Between probes in that time. */
  startIntervalMs: integer(0),
  retries: integer(0),
});

export type HealthCheck = Decoded<typeof healthCheck>;

/** What was asked for beside the image's own; a shell's command, or none. */
export interface HealthOptions {
  readonly command?: string | readonly string[] | undefined;
  readonly intervalMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly startPeriodMs?: number | undefined;
  readonly startIntervalMs?: number | undefined;
  readonly retries?: number | undefined;
  /** Not even the image's. */
  readonly none?: boolean | undefined;
}

const defaults = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
  retries: 3,
} as const;

const shell = ["/bin/sh", "-c"] as const;
const nanosecondsPerMs = 1e6;

function commandOf(test: readonly string[], imageShell: readonly string[]): readonly string[] | undefined {
  const [kind, ...words] = test;
  switch (kind) {
    case undefined:
    case "NONE":
      return undefined;
    case "CMD":
      return words;
    case "CMD-SHELL":
      return [...imageShell, ...words];
    default:
      throw new GantryError("invalid-argument", `Unknown healthcheck type ${kind} (expected 'CMD')`);
  }
}

/** Options before what the image says, and docker's defaults after it. Undefined: nothing is checked. */
export function healthCheckOf(
  options: HealthOptions | undefined,
  image: ImageHealthcheck | undefined,
  imageShell: readonly string[] = shell,
): HealthCheck | undefined {
  if (options?.none) return undefined;
  const { command } = options ?? {};
  const own = typeof command === "string" ? [...shell, command] : command;
  const program = own ?? commandOf(image?.Test ?? [], imageShell);
  if (program === undefined || program.length === 0) return undefined;
  const ms = (given: number | undefined, nanoseconds: number | undefined, fallback: number) =>
    given || Math.ceil((nanoseconds ?? 0) / nanosecondsPerMs) || fallback;
  return {
    command: program,
    intervalMs: ms(options?.intervalMs, image?.Interval, defaults.intervalMs),
    timeoutMs: ms(options?.timeoutMs, image?.Timeout, defaults.timeoutMs),
    startPeriodMs: ms(options?.startPeriodMs, image?.StartPeriod, defaults.startPeriodMs),
    startIntervalMs: ms(options?.startIntervalMs, image?.StartInterval, defaults.startIntervalMs),
    retries: options?.retries || image?.Retries || defaults.retries,
  };
}

const probe = object({
  /** RFC 3339. */
  start: string,
  end: string,
  /** -1 if it took too long or could not be started. */
  exitCode: integer(-1, 255),
  output: string,
});

export type Probe = Decoded<typeof probe>;

export const healthState = object({
  status: oneOf("starting", "healthy", "unhealthy"),
  failingStreak: integer(0),
  /** The last ones, oldest first. */
  log: array(probe, 5),
});

export type Health = Decoded<typeof healthState>;

const keptProbes = 5;
export const noProbeYet: Health = { status: "starting", failingStreak: 0, log: [] };

/** Whether failures do not count yet. */
function isStarting(check: HealthCheck, { status }: Health, startedAt: string, now: number): boolean {
  return status === "starting" && now - Date.parse(startedAt) < check.startPeriodMs;
}

export function afterProbe(check: HealthCheck, before: Health, startedAt: string, result: Probe): Health {
  const log = [...before.log, result].slice(-keptProbes);
  if (result.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  if (isStarting(check, before, startedAt, Date.parse(result.start))) return { ...before, log };
  const failingStreak = before.failingStreak + 1;
  const status = failingStreak >= check.retries ? "unhealthy" : before.status;
  return { status, failingStreak, log };
}

/** How long after the start, or after the end of a probe, the next one begins. */
export function untilNextProbe(check: HealthCheck, now: Health, startedAt: string, time: number): number {
  return isStarting(check, now, startedAt, time) ? check.startIntervalMs : check.intervalMs;
}
