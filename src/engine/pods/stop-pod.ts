/** Stops a pod: its containers, and then what it holds. */
import { GantryError } from "../../base/error.ts";
import { type StopOptions, stopContainer } from "../containers/stop.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { letGo } from "./let-go.ts";
import { settlePod } from "./observe-pod.ts";
import { containersOf, isRunning } from "./pod-containers.ts";

/** How often containers that others start meanwhile are stopped too. */
const rounds = 10;

/**
 * Stops every container, side by side, then takes the namespaces away. May be repeated, and does nothing for a pod that
 * is stopped. The lock of the pod is never held while that of a container is waited for: who starts a container takes
 * them the other way round.
 */
export async function stopPod(
  internals: Internals,
  id: string,
  options: Omit<StopOptions, "stopSignal"> = {},
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const running = containersOf(internals, id).filter((one) => isRunning(internals, one));
    const stops = await Promise.allSettled(
      running.map((container) => stopContainer(internals, container.id, options)),
    );
    for (const stop of stops) if (stop.status === "rejected") throw stop.reason;
    using _ = await lockContainer(internals, id, options);
    if (containersOf(internals, id).some((one) => isRunning(internals, one))) continue;
    const observed = await settlePod(internals, id);
    if (observed?.state.kind === "ready") await letGo(internals, observed.record);
    return;
  }
  throw new GantryError("aborted", `stop pod "${id}": its containers are started again and again`, {
    detail: { pod: id },
  });
}
