/** Removes what nobody uses: containers that have ended, pods that are stopped, images without containers. */
import { isGantryError } from "../../base/error.ts";
import { collectGarbage } from "../../images/garbage.ts";
import { type Image, listImages } from "../../images/image.ts";
import type { Digest } from "../../spec/digest.ts";
import { listContainers } from "../containers/list.ts";
import { removeContainer } from "../containers/remove.ts";
import { garbageDeps } from "../images/garbage-deps.ts";
import type { Internals } from "../internals.ts";
import { type Measured, measureStore, totalBytes } from "./measure.ts";
import { isPruned, type PruneFilter } from "./prune-filter.ts";

export interface PruneOptions extends PruneFilter {
  readonly signal?: AbortSignal;
}

export interface PrunedContainers {
  readonly deleted: readonly string[];
  readonly freedBytes: number;
}

export async function pruneContainers(
  internals: Internals,
  options: PruneOptions = {},
): Promise<PrunedContainers> {
  const { signal } = options;
  const cancellable = signal ? { signal } : {};
  const measured = await measureStore(internals, { quick: true, ...cancellable });
  const deleted: string[] = [];
  let freedBytes = 0;
  for (const container of await listContainers(internals, { all: true, ...cancellable })) {
    const ended = container.status === "exited" || container.status === "created";
    if (!ended || !isPruned(options, container)) continue;
    try {
      await removeContainer(internals, container.id, cancellable);
    } catch (error) {
      // somebody has started it meanwhile
      if (!isGantryError(error, "failed-precondition")) throw error;
      continue;
    }
    deleted.push(container.id);
    const found = measured.containers.find(({ record }) => record.id === container.id);
    freedBytes += (found?.writtenBytes ?? 0) + (found?.ownBytes ?? 0);
  }
  return { deleted, freedBytes };
}

export interface PrunedImages {
  readonly untagged: readonly string[];
  /** Images (their ids) and layers (chainIDs). */
  readonly deleted: readonly string[];
  readonly freedBytes: number;
}

export interface PruneImagesOptions extends PruneOptions {
  /** Also images that have names, if no container was made of them. */
  readonly all?: boolean;
}

/** With or without an image to remove, what nothing needs any more goes. */
export async function pruneImages(
  internals: Internals,
  options: PruneImagesOptions = {},
): Promise<PrunedImages> {
  const { signal } = options;
  const cancellable = signal ? { signal } : {};
  const before = await measureStore(internals, { quick: true, ...cancellable });
  const used = new Set(before.containers.map(({ record }) => record.image.manifest));
  const going = (await listImages(internals, cancellable)).filter(
    (image) =>
      (options.all || image.names.length === 0) &&
      !used.has(image.manifestDescriptor.digest) &&
      isPruned(options, { createdAt: image.imageConfig.created ?? "", labels: labelsOf(image) }),
  );
  const untagged = going.flatMap((image) => forget(internals, image));
  await using layers = await internals.openLayers();
  const garbage = await collectGarbage(garbageDeps(internals, layers), cancellable);
  const after = garbage.busy ? before : await measureStore(internals, { quick: true, ...cancellable });
  for (const name of untagged) internals.events.append("image", "untag", name);
  const deleted = [...new Set([...going.map(({ id }) => id), ...garbage.layers])];
  for (const id of deleted) internals.events.append("image", "delete", id);
  return { untagged, deleted, freedBytes: Math.max(0, imageBytes(before) - imageBytes(after)) };
}

function imageBytes(measured: Measured): number {
  return totalBytes({ ...measured, containers: [], volumes: new Map() });
}

function labelsOf(image: Image): Readonly<Record<string, string>> {
  return image.imageConfig.config?.Labels ?? {};
}

/** Every name of an image, or the digest by which one without names is kept. */
function forget({ images }: Internals, image: Image): readonly string[] {
  const names: readonly (string | Digest)[] =
    image.names.length > 0 ? image.names : [image.manifestDescriptor.digest];
  const shown = [...image.repoTags, ...image.repoDigests];
  for (const name of names) images.remove(name);
  return shown;
}

/** Pods that are stopped, with their containers. */
export async function prunePods(
  internals: Internals,
  options: PruneOptions = {},
): Promise<{ readonly deleted: readonly string[] }> {
  const { listPods } = await import("../pods/inspect-pod.ts");
  const { removePod } = await import("../pods/remove-pod.ts");
  const cancellable = options.signal ? { signal: options.signal } : {};
  const deleted: string[] = [];
  for (const { record, status } of await listPods(internals, cancellable)) {
    if (status !== "exited" || !isPruned(options, record)) continue;
    await removePod(internals, record.id, cancellable);
    deleted.push(record.id);
  }
  return { deleted };
}
