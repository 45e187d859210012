/**
 * Unpacks again, from the blobs that are here, what is missing of an image's layers: a power cut takes directories
 * that were not on the disk yet, while blobs are flushed before they get their names.
 */
import { GantryError } from "../base/error.ts";
import { applyStoredBlob, checkLayerType } from "./apply-blob.ts";
import type { ImageContent } from "./image.ts";
import type { ImageDeps } from "./pull-options.ts";

/** data-loss if a blob is gone, too: then only a pull brings the layer back. */
export async function restoreLayers(
  deps: Omit<ImageDeps, "images">,
  image: ImageContent,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { content, layers, leases } = deps;
  using lease = leases.open();
  lease.claim(...image.manifest.layers.map(({ digest }) => digest), ...image.chainIds);
  for (const [index, chainId] of image.chainIds.entries()) {
    if (await layers.has(chainId)) continue;
    const layer = image.manifest.layers[index]!;
    checkLayerType(layer);
    if (!(await content.info(layer.digest)))
      throw new GantryError(
        "data-loss",
        `unpack layer "${layer.digest}" again: its blob is not here any more, pull the image`,
        { detail: { digest: layer.digest, image: image.id } },
      );
    await applyStoredBlob(deps, {
      layer,
      diffId: image.diffIds[index]!,
      chainId,
      parentChainId: image.chainIds[index - 1],
      ...options,
    });
  }
}
