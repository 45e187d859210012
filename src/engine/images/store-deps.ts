/** Where images are brought into: the store, or the store within its disk limit. */
import { isGantryError } from "../../base/error.ts";
import type { ContentStore } from "../../content/content-store.ts";
import type { ImageStore } from "../../images/image-store.ts";
import type { LayerApplier } from "../../images/layer-applier.ts";
import type { Leases } from "../../images/leases.ts";
import type { Internals } from "../internals.ts";

export interface StoreDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly leases: Leases;
  readonly layers: LayerApplier;
}

/** `what` is told where the limit forbids it; then nothing of it stays. */
export async function bringIn<T>(
  internals: Internals,
  what: string,
  bring: (deps: StoreDeps) => Promise<T>,
): Promise<T> {
  const { content, images, leases } = internals;
  await using layers = await internals.openLayers();
  const limit = internals.diskLimit();
  if (!limit) return await bring({ content, images, leases, layers });
  const { DiskBudget } = await import("../system/disk-limit.ts");
  const { LimitedContent, LimitedLayers } = await import("../system/limited-store.ts");
  const budget = new DiskBudget(internals, limit, what);
  try {
    return await bring({
      content: new LimitedContent(content, budget),
      images,
      leases,
      layers: new LimitedLayers(layers, budget),
    });
  } catch (error) {
    // what has come is no use for a second try, which would meet the same limit
    if (isGantryError(error, "resource-exhausted")) {
      const { collectGarbage } = await import("../../images/garbage.ts");
      const { garbageDeps } = await import("./garbage-deps.ts");
      await collectGarbage(garbageDeps(internals, layers));
    }
    throw error;
  }
}
