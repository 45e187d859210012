/** Lists containers as they truly are. */
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import type { Health } from "./health-check.ts";
import { readHealth } from "./health-file.ts";
import { type Observed, observeAll } from "./observe.ts";
import { isRestarting } from "./restart-policy.ts";

/** In docker's words. */
export type ContainerStatus = "created" | "running" | "paused" | "restarting" | "exited";

export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly imageId: string;
  readonly args: readonly string[];
  readonly createdAt: string;
  readonly status: ContainerStatus;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly exitCode?: number;
  readonly pid?: number;
  /** Of one that runs and is asked for its health. */
  readonly health?: Health["status"];
  readonly labels: Readonly<Record<string, string>>;
  readonly record: ContainerRecord;
}

export interface ListOptions {
  /** Also those that do not run. */
  readonly all?: boolean;
  readonly signal?: AbortSignal;
}

export function statusOf({ record, state }: Observed): ContainerStatus {
  if (state.kind === "running") return state.paused ? "paused" : "running";
  return state.kind === "exited" && isRestarting(record) ? "restarting" : state.kind;
}

function summaryOf(internals: Internals, observed: Observed): ContainerSummary {
  const { record, state } = observed;
  const common = {
    id: record.id,
    name: record.name,
    image: record.image.reference,
    imageId: record.image.id,
    args: record.args,
    createdAt: record.createdAt,
    status: statusOf(observed),
    labels: record.labels,
    record,
  };
  if (state.kind === "running") {
    const health = readHealth(internals, record)?.status;
    const { startedAt, init } = state.start;
    return { ...common, startedAt, pid: init.pid, ...(health ? { health } : {}) };
  }
  if (state.kind === "created") return common;
  const { startedAt, finishedAt, exitCode } = state.run;
  return { ...common, ...(startedAt ? { startedAt } : {}), finishedAt, exitCode };
}

/** Docker counts one that is about to be started again among those that run. */
export function isUp({ status }: ContainerSummary): boolean {
  return status === "running" || status === "paused" || status === "restarting";
}

/** Newest first. */
export async function listContainers(
  internals: Internals,
  options: ListOptions = {},
): Promise<readonly ContainerSummary[]> {
  options.signal?.throwIfAborted();
  const all = (await observeAll(internals)).map((one) => summaryOf(internals, one));
  return options.all ? all : all.filter(isUp);
}
