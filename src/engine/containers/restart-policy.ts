/**
 * What follows on the end of a container that has a restart policy, as docker decides it: after a pause that doubles
 * from 100 ms to a minute, and begins anew after a run of 10 s. Pure.
 */
import type { ContainerRecord, LastRun } from "./container-record.ts";

export const restartPolicyNames = ["no", "always", "unless-stopped", "on-failure"] as const;

export interface RestartPolicy {
  readonly name: (typeof restartPolicyNames)[number];
  /** How often on-failure tries; 0 or left out: for ever. */
  readonly maximumRetries?: number | undefined;
}

export interface PendingRestart {
  /** When it is due. RFC 3339. */
  readonly at: string;
  readonly delayMs: number;
}

const firstDelayMs = 100;
const longestDelayMs = 60_000;
/** One that ran as long as this is well. */
const wellAfterMs = 10_000;

function isWanted(record: ContainerRecord, exitCode: number): boolean {
  const { name = "no", maximumRetries = 0 } = record.restartPolicy ?? {};
  if (record.manuallyStopped || name === "no") return false;
  if (name !== "on-failure") return true;
  return exitCode !== 0 && (maximumRetries === 0 || (record.restartCount ?? 0) < maximumRetries);
}

/** The restart that a container is due for after `run`; undefined if it is to stay as it is. */
export function restartAfter(record: ContainerRecord, run: LastRun): PendingRestart | undefined {
  if (!isWanted(record, run.exitCode)) return undefined;
  const ranMs = run.startedAt === undefined ? 0 : Date.parse(run.finishedAt) - Date.parse(run.startedAt);
  const last = ranMs >= wellAfterMs ? 0 : (record.restartDelayMs ?? 0);
  const delayMs = last === 0 ? firstDelayMs : Math.min(last * 2, longestDelayMs);
  return { at: new Date(Date.parse(run.finishedAt) + delayMs).toISOString(), delayMs };
}

/** Of one that does not run: whether its policy is about to start it, or just doing so. */
export function isRestarting({ restart, restartCount = 0, startedInBoot }: ContainerRecord): boolean {
  return restart !== undefined || (startedInBoot !== undefined && restartCount > 0);
}

/** Whether it is to come up with the machine although it was stopped by hand in an earlier boot. */
export function startsWithMachine(record: ContainerRecord, boot: string): boolean {
  const { restartPolicy, stoppedInBoot } = record;
  return restartPolicy?.name === "always" && stoppedInBoot !== undefined && stoppedInBoot !== boot;
}

/** The record of a container that somebody starts: what went before counts no more. */
export function withoutRestarts(record: ContainerRecord): ContainerRecord {
  const {
    restart: _r,
    restartCount: _c,
    restartDelayMs: _d,
    manuallyStopped: _m,
    stoppedInBoot: _b,
    ...rest
  } = record;
  return rest;
}

/** The record of one that is started again by its policy. */
export function restarted(record: ContainerRecord): ContainerRecord {
  const { restart, ...rest } = record;
  return {
    ...rest,
    restartCount: (record.restartCount ?? 0) + 1,
    restartDelayMs: restart?.delayMs ?? record.restartDelayMs,
  };
}

/** The record of one that somebody stops, in this boot. */
export function heldBack(record: ContainerRecord, boot: string): ContainerRecord {
  const { restart: _, ...rest } = record;
  return { ...rest, manuallyStopped: true, stoppedInBoot: boot };
}
