/** Starts a pod: from then on it holds its namespaces, until it is stopped. */
import { GantryError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { runPlan, startExecutor } from "../../launch/launch.ts";
import { podPlaces } from "../../plan/compile/pod.ts";
import { bootId } from "../boot.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { settlePod } from "./observe-pod.ts";
import { podPlan, undoPod } from "./pod-plan.ts";
import { type PodRecord, podAttributes } from "./pod-record.ts";
import { noSuchPod } from "./pod-store.ts";
import { recordStarter } from "./sandbox.ts";

export interface StartPodOptions {
  /**
   * Sets up the network of a pod that holds a network namespace, whose path it is given, before the pod counts as
   * started: what it throws undoes the start.
   */
  readonly onNetwork?: (namespace: string) => Promise<void> | void;
  readonly signal?: AbortSignal;
}

/** Resolves when the pod is ready; at once if it is. */
export async function startPod(
  internals: Internals,
  id: string,
  options: StartPodOptions = {},
): Promise<void> {
  using _ = await lockContainer(internals, id, options);
  await makeReady(internals, id, options);
}

/** The same with the lock of the pod held. */
export async function makeReady(
  internals: Internals,
  id: string,
  options: StartPodOptions = {},
): Promise<PodRecord> {
  const { pods } = internals;
  const observed = await settlePod(internals, id);
  if (!observed || observed.record.removing) throw noSuchPod(id);
  const { record, state } = observed;
  if (state.kind === "ready") return record;
  if (process.geteuid?.() !== 0)
    throw new GantryError("permission-denied", `start pod "${record.name}": only root can, for now`);
  const { onNetwork, signal } = options;
  const network = onNetwork !== undefined && record.namespaces.network === "pod";
  const plan = podPlan(internals, record, network);
  const { lastStop: _, ...rest } = record;
  const started: PodRecord = { ...rest, startedInBoot: bootId() };
  pods.write(started);
  faultPoint("pod-start-recorded");
  const executor = startExecutor({ executor: internals.executor() });
  try {
    pods.makeStateDirectory(id);
    faultPoint("pod-start-directory");
    if (executor.pid !== undefined) recordStarter(pods.stateDirectory(id), executor.pid);
    faultPoint("pod-start-executor");
    await runPlan(plan, {
      executor: internals.executor(),
      started: executor,
      onSync: async (point) => {
        faultPoint(`pod-sync-${point}`);
        await onNetwork?.(podPlaces.namespace(pods.stateDirectory(id), "network"));
      },
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    executor.close();
    // an executor undoes its own failures; one that was killed leaves that to us
    await undoPod(internals, started);
    pods.write(record);
    throw error;
  }
  faultPoint("pod-started");
  internals.events.append("pod", "start", id, podAttributes(record));
  return started;
}
