/** Takes the attributes of the directories that a layer only implies over from the layers below it. */
import { lstatSync } from "node:fs";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { type ByteString, byteStringOf } from "../wire/tar-format.ts";
import { LayerSession } from "./layer-session.ts";
import type { OverlayStore } from "./overlay-store.ts";
import type { LayerRecord } from "./store-records.ts";

/** Roots of layers that one session holds open. */
const rootLimit = 60;

/** Index in `below` of the topmost layer whose directory shows through at `path`, or undefined. */
function sourceOf(store: OverlayStore, below: readonly LayerRecord[], path: ByteString): number | undefined {
  for (const [index, layer] of below.entries()) {
    let at = `${store.layerDirectory(layer.chainId)}/fs`;
    let prefix = "";
    let hidden = layer.opaque.includes("");
    let found = true;
    for (const name of path === "" ? [] : path.split("/")) {
      at = `${at}/${name}`;
      prefix = prefix === "" ? name : `${prefix}/${name}`;
      const stat = statOf(at);
      if (!stat) {
        found = false;
        break;
      }
      // a file, symlink or whiteout hides all that is below it
      if (!stat.isDirectory()) return undefined;
      hidden ||= layer.opaque.includes(prefix);
    }
    if (found) return index;
    if (hidden) return undefined;
  }
  return undefined;
}

function statOf(path: string) {
  try {
    return lstatSync(Buffer.from(path, "latin1"));
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw wrapErrno(error, "inherit attributes", path);
  }
}

export async function inheritLayer(
  store: OverlayStore,
  layer: LayerRecord,
  below: readonly LayerRecord[],
): Promise<void> {
  const lower = below.slice(0, rootLimit);
  const opaque = new Set(layer.opaque);
  // a directory that the layer has deleted and made again is a new one
  const isNew = (path: string): boolean =>
    opaque.has(path) || (path !== "" && isNew(path.slice(0, Math.max(0, path.lastIndexOf("/")))));
  const steps = layer.implied
    .filter((path) => !isNew(path))
    .map((path) => ({ path: path as ByteString, source: sourceOf(store, lower, path as ByteString) }))
    .filter((step) => step.source !== undefined);
  if (steps.length === 0) return;
  await using session = new LayerSession(store.executor(), `inherit attributes of layer ${layer.chainId}`);
  const rootOf = (record: LayerRecord) => byteStringOf(`${store.layerDirectory(record.chainId)}/fs`);
  const options = store.unprivileged ? 3 : 0;
  session.add("layer-root", { path: rootOf(layer), options, root: 0 });
  for (const source of new Set(steps.map((step) => step.source!)))
    session.add("layer-root", { path: rootOf(lower[source]!), options, root: source + 1 });
  for (const { path, source } of steps) session.add("layer-inherit", { root: 0, path, from: source! + 1 });
  await session.finish();
}
