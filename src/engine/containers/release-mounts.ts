/** What becomes of a container's volumes, and of the images that it showed, when it goes. */
import { GantryError } from "../../base/error.ts";
import type { Internals } from "../internals.ts";
import { readReferences, writeReferences } from "../volumes/references.ts";
import { removeVolume } from "../volumes/volumes.ts";

/** Its anonymous volumes are to outlive it. To be said before its record goes. */
export function keepVolumes(internals: Internals, id: string): void {
  const references = readReferences(internals.containers, id);
  if (references) writeReferences(internals.containers, id, { ...references, keep: true });
}

/** Takes away what a container held besides its own folders; anonymous volumes unless they are to be kept. */
export async function releaseMounts(internals: Internals, id: string): Promise<void> {
  const references = readReferences(internals.containers, id);
  if (!references) return;
  const snapshotter = await internals.snapshotter();
  for (const view of references.views) await snapshotter.remove(view).catch(ignoreMissing);
  if (references.keep) return;
  for (const { name, anonymous } of references.volumes) {
    if (!anonymous) continue;
    try {
      await removeVolume(internals, name, { force: true, except: id });
    } catch (error) {
      // another container has taken it over
      if (!(error instanceof GantryError) || error.code !== "failed-precondition") throw error;
    }
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof GantryError) || error.code !== "not-found") throw error;
}
