/**
 * Directories that a layer has only because something lies in them take owner, mode, time and
 * attributes from the layers below, which are not there yet when the layer is unpacked on its own.
 * overlay shows the attributes of the topmost layer, so without this an entry `tmp/x` alone would
 * take /tmp's sticky bit away. Done once a layer, before it is first used.
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { wrapErrno } from "../base/error.ts";
import type { OverlayStore } from "./overlay-store.ts";
import type { LayerRecord } from "./store-records.ts";

/** Settles the attributes of all layers of a chain (top first), from the lowest up. */
export async function inheritAttributes(store: OverlayStore, chain: readonly LayerRecord[]): Promise<void> {
  for (let index = chain.length - 2; index >= 0; index--) {
    const layer = chain[index]!;
    if (layer.implied.length === 0) continue;
    const mark = `${store.layerDirectory(layer.chainId)}/inherited`;
    if (existsSync(mark)) continue;
    // talks to an executor: loaded for the first container of a layer alone
    const { inheritLayer } = await import("./inherit-layer.ts");
    await inheritLayer(store, layer, chain.slice(index + 1));
    try {
      closeSync(openSync(mark, "a", 0o600));
    } catch (error) {
      throw wrapErrno(error, "mark", mark);
    }
  }
}
