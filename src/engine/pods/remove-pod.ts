/**
 * Removes a pod with its containers. The record says first that it is being removed: from then on no container joins
 * it, and whoever looks later ends what a killed remover began.
 */
import { GantryError, isGantryError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { type StopOptions, stopContainer } from "../containers/stop.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { discardPod } from "./discard-pod.ts";
import { finishRemoval } from "./finish-removal.ts";
import { settlePod } from "./observe-pod.ts";
import { containersOf, isRunning } from "./pod-containers.ts";
import type { PodRecord } from "./pod-record.ts";

export interface RemovePodOptions {
  /** Also if containers run: they are stopped first. */
  readonly force?: boolean;
  /** Before they are killed; 0 kills at once. Default: that of each container. */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
}

/** May be repeated; a pod that is gone is removed. */
export async function removePod(
  internals: Internals,
  id: string,
  options: RemovePodOptions = {},
): Promise<void> {
  const { pods } = internals;
  {
    using _ = await lockContainer(internals, id, options);
    let record: PodRecord | undefined;
    try {
      record = (await settlePod(internals, id))?.record;
    } catch (error) {
      if (!options.force || !isGantryError(error)) throw error;
      internals.logger.warn("removing a pod that cannot be read", { pod: id, error: error.message });
      return await discardPod(internals, { id });
    }
    if (!record) return;
    const running = containersOf(internals, id).filter((one) => isRunning(internals, one));
    if (running.length > 0 && !options.force)
      throw new GantryError(
        "failed-precondition",
        `cannot remove pod "${record.name}": its containers ${running.map(({ name }) => name).join(", ")} run: stop the pod before removing or force remove`,
        { detail: { pod: id, running: running.map((one) => one.id) } },
      );
    if (!record.removing) pods.write({ ...record, removing: true });
  }
  faultPoint("pod-remove-begun");
  await stopAll(internals, id, options);
  await finishRemoval(internals, id, true);
}

async function stopAll(internals: Internals, id: string, options: Omit<StopOptions, "stopSignal">) {
  const running = containersOf(internals, id).filter((one) => isRunning(internals, one));
  await Promise.allSettled(running.map((one) => stopContainer(internals, one.id, options)));
  options.signal?.throwIfAborted();
}
