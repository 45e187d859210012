/** Removes images, and what nothing needs any more. */
import { type RemovedImage, removeImage as removeFromStore } from "../../images/remove.ts";
import { taskState } from "../../tasks/task-state.ts";
import type { ContainerRecord } from "../containers/container-record.ts";
import type { Internals } from "../internals.ts";
import { garbageDeps } from "./garbage-deps.ts";

export interface RemoveImageOptions {
  /** Remove an image by ID although it has several names, or although ended containers use it. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

export async function removeImage(
  internals: Internals,
  reference: string,
  options: RemoveImageOptions = {},
): Promise<RemovedImage> {
  const { containers, logger, events } = internals;
  await using layers = await internals.openLayers();
  const records = () =>
    containers.list((id, error) => logger.warn("a container cannot be read", { id, error: String(error) }));
  const runs = ({ id }: ContainerRecord) => taskState(containers.stateDirectory(id)).kind === "running";
  const removed = await removeFromStore(garbageDeps(internals, layers), reference, {
    ...options,
    usedBy: async (image) =>
      records()
        .filter((container) => container.image.manifest === image.manifest.digest)
        .filter((container) => !options.force || runs(container))
        .map(({ id }) => id),
  });
  for (const name of removed.untagged) events.append("image", "untag", name);
  for (const id of removed.deleted) events.append("image", "delete", id);
  return removed;
}
