/** A container's own layer against those below: its upper directory, and what in there is the runtime's work. */
import { join, parentOf, rootPath } from "../../snapshots/layer-path.ts";
import type { TreeSession } from "../../snapshots/tree-session.ts";
import { type ByteString, byteStringOf } from "../../wire/tar-format.ts";
import type { Internals } from "../internals.ts";
import type { ContainerView } from "./container-view.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

/** The two sides as views of one session, and both as the container sees them. */
export interface LayerRoots {
  readonly upper: number;
  readonly lower: number;
  readonly merged: number;
}

/** Nobody is kept from writing to the upper side: a running container does. */
export async function openLayerRoots(
  internals: Internals,
  id: string,
  session: TreeSession,
  view: ContainerView,
  options: { readonly signal?: AbortSignal },
): Promise<LayerRoots> {
  const snapshot = await (await internals.snapshotter()).mounts(id, options);
  const { lower, upper = "" } = snapshot;
  const writable = false;
  return {
    upper: await session.open({ kind: "directory", path: upper }),
    // overlay takes two directories at least
    lower: await session.open(
      lower.length === 1
        ? { kind: "directory", path: lower[0]! }
        : { kind: "snapshot", snapshot: { kind: "overlay", lower }, writable },
    ),
    merged: await session.open(view.bare()),
  };
}

/**
 * Places that the runtime has made to mount something there: empty files and directories, with the directories that it
 * made for them alone. docker keeps them in a layer of their own, so nobody sees them as changes.
 */
export async function placeholders(
  internals: Internals,
  id: string,
  session: TreeSession,
  { upper, lower }: LayerRoots,
): Promise<ReadonlySet<ByteString>> {
  const found = new Set<ByteString>();
  const isEmpty = async (path: ByteString) => {
    const inside = await session.list(upper, path);
    return inside?.every(({ name }) => found.has(join(path, name))) ?? false;
  };
  // the deepest first: a directory is one if all in it is
  const places = mountPlaces(internals, id).sort((a, b) => b.length - a.length);
  for (const place of places)
    for (let path = place; path !== rootPath; path = parentOf(path)) {
      const entry = found.has(path) ? undefined : await session.stat(upper, path);
      if (!entry || (await session.stat(lower, path))) break;
      if (entry.type === "directory" ? !(await isEmpty(path)) : entry.type !== "file" || entry.sizeBytes > 0)
        break;
      found.add(path);
    }
  return found;
}

function mountPlaces(internals: Internals, id: string): ByteString[] {
  const { mounts = [], linux, process: program } = readRuntimeConfig(internals, id);
  const paths = [
    ...mounts.map(({ destination }) => destination),
    ...(linux?.devices ?? []).map(({ path }) => path),
    ...(program?.terminal ? ["/dev/console"] : []),
    // made on every start (src/plan/compile)
    ...["/proc", "/dev", "/sys"],
  ];
  return [...new Set(paths)]
    .map((path) => byteStringOf(path.replace(/^\/+|\/+$/g, "")))
    .filter((path) => path !== rootPath);
}
