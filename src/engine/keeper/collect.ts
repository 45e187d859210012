/** Removes blobs and layers that no image, container or pull needs. */
import { isGantryError } from "../../base/error.ts";
import { collectGarbage } from "../../images/garbage.ts";
import { garbageDeps } from "../images/garbage-deps.ts";
import type { Internals } from "../internals.ts";

/** What goes wrong is told: the next round tries again. */
export async function collectUnneeded(internals: Internals, signal: AbortSignal): Promise<void> {
  try {
    await using layers = await internals.openLayers();
    const { blobs, freedBytes } = await collectGarbage(garbageDeps(internals, layers), { signal });
    if (blobs.length > 0)
      internals.logger.info("what nothing needs was removed", { blobs: blobs.length, bytes: freedBytes });
  } catch (error) {
    if (signal.aborted) return;
    if (!isGantryError(error)) throw error;
    internals.logger.warn("what nothing needs could not be removed", { error: error.message });
  }
}
