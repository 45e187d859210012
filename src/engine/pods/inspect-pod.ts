/** What is known of a pod and of its containers. */
import type { NamespaceKind } from "../../linux/namespaces.ts";
import { podPlaces } from "../../plan/compile/pod.ts";
import { type ContainerStatus, statusOf as containerStatus } from "../containers/list.ts";
import { observe } from "../containers/observe.ts";
import type { Internals } from "../internals.ts";
import { type ObservedPod, observePod, observePods, type PodState } from "./observe-pod.ts";
import { containersOf } from "./pod-containers.ts";
import { type PodRecord, podCgroup } from "./pod-record.ts";
import { noSuchPod } from "./pod-store.ts";
import { pinnedKinds } from "./sandbox.ts";

export interface PodContainer {
  readonly id: string;
  readonly name: string;
  readonly status: ContainerStatus;
}

/**
 * How a pod is as a whole, in podman's words. A pod that is ready counts as one that runs, whatever its containers do:
 * "degraded" is one of which some container has ended.
 */
export type PodStatus = "created" | "running" | "paused" | "degraded" | "exited";

export interface PodInspection {
  readonly record: PodRecord;
  /** "ready": it holds its namespaces, and containers can run in it. */
  readonly state: PodState;
  readonly status: PodStatus;
  readonly containers: readonly PodContainer[];
  /** Path of the cgroup of its containers, in every hierarchy. */
  readonly cgroup: string;
  /** Files by which other programs can join what the pod holds while it is ready, by kind. */
  readonly namespacePaths: Partial<Readonly<Record<NamespaceKind, string>>>;
}

function statusOf({ kind }: PodState, containers: readonly PodContainer[]): PodStatus {
  const running = containers.filter(({ status }) => status !== "created" && status !== "exited").length;
  const paused = containers.length > 0 && containers.every(({ status }) => status === "paused");
  if (kind === "ready") return paused ? "paused" : running === containers.length ? "running" : "degraded";
  if (kind === "created" && containers.every(({ status }) => status === "created")) return "created";
  return "exited";
}

async function inspectionOf(internals: Internals, { record, state }: ObservedPod): Promise<PodInspection> {
  const containers: PodContainer[] = [];
  for (const { id } of containersOf(internals, record.id)) {
    const observed = await observe(internals, id);
    if (observed) containers.push({ id, name: observed.record.name, status: containerStatus(observed) });
  }
  const dir = internals.pods.stateDirectory(record.id);
  const pause = state.kind === "ready" ? state.sandbox.pause : undefined;
  const namespacePaths = {
    ...Object.fromEntries(
      state.kind === "ready"
        ? pinnedKinds(record).map((kind) => [kind, podPlaces.namespace(dir, kind)] as const)
        : [],
    ),
    ...(pause ? { pid: `/proc/${pause.pid}/ns/pid` } : {}),
  };
  return {
    record,
    state,
    status: statusOf(state, containers),
    containers,
    cgroup: podCgroup(record),
    namespacePaths,
  };
}

export async function inspectPod(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<PodInspection> {
  options.signal?.throwIfAborted();
  const observed = await observePod(internals, id);
  if (!observed) throw noSuchPod(id);
  return await inspectionOf(internals, observed);
}

/** Every pod, newest first. */
export async function listPods(
  internals: Internals,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly PodInspection[]> {
  options.signal?.throwIfAborted();
  const all: PodInspection[] = [];
  for (const observed of await observePods(internals)) all.push(await inspectionOf(internals, observed));
  return all;
}
