/** What the collection of garbage works with, and what containers keep from it. */
import type { GarbageDeps } from "../../images/garbage.ts";
import type { LayerCollector } from "../../images/layer-applier.ts";
import type { Internals } from "../internals.ts";
import { makePrivateDirectory } from "../store-layout.ts";

export function garbageDeps(internals: Internals, layers: LayerCollector): GarbageDeps {
  const { content, images, leases, containers, logger, layout } = internals;
  makePrivateDirectory(layout.locks);
  const warn = (id: string, error: unknown) =>
    logger.warn("a container cannot be read", { id, error: String(error) });
  return {
    content,
    images,
    leases,
    layers,
    held: async () => containers.list(warn).flatMap(({ image }) => image.chainIds),
    lockFolder: layout.locks,
  };
}
