/** Sees to it that the layers below a container are there: a power cut may have taken some. */
import type { ImageContent } from "../../images/image.ts";
import type { Digest } from "../../spec/digest.ts";
import type { Internals } from "../internals.ts";

/** `image` is asked for only if one of its `chainIds` is missing; data-loss if the blob of that is missing, too. */
export async function ensureUnpacked(
  internals: Internals,
  chainIds: readonly Digest[],
  image: () => Promise<ImageContent>,
  options: { readonly signal?: AbortSignal },
): Promise<void> {
  const snapshotter = await internals.snapshotter();
  for (const chainId of chainIds) {
    if (await snapshotter.hasLayer(chainId, options)) continue;
    internals.logger.info("unpacking layers again", { missing: chainId });
    const { restoreLayers } = await import("../../images/restore-layers.ts");
    const { content, leases } = internals;
    await using layers = await internals.openLayers();
    return await restoreLayers({ content, leases, layers }, await image(), options);
  }
}
