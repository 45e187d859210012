/**
 * Takes everything of a container off the disk. The record goes first: from then on whoever finds the rest knows
 * that it is to be cleared, so a kill at any point leaves nothing that stays.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isGantryError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { containerAttributes } from "./event-attributes.ts";

export interface DiscardOptions {
  /** What becomes of its anonymous volumes: one with --rm, or that was never finished, takes them along. */
  readonly volumes?: "keep" | "remove" | undefined;
}

/** Call with the lock of the container held, and only when it does not run. Without a record, whatever is left. */
export async function discardContainer(
  internals: Internals,
  container: ContainerRecord | { readonly id: string },
  options: DiscardOptions = {},
): Promise<void> {
  const { containers, events } = internals;
  const { id } = container;
  const mounts = existsSync(join(containers.directory(id), "volumes.json"))
    ? await import("./release-mounts.ts")
    : undefined;
  const volumes = options.volumes ?? ("name" in container && !container.autoRemove ? "keep" : "remove");
  if (volumes === "keep") mounts?.keepVolumes(internals, id);
  containers.removeRecord(id);
  faultPoint("discard-record");
  try {
    await (await internals.snapshotter()).remove(id);
  } catch (error) {
    if (!isGantryError(error, "not-found")) throw error;
  }
  faultPoint("discard-snapshot");
  await mounts?.releaseMounts(internals, id);
  if (existsSync(internals.layout.runtimes)) {
    const { forgetForeign } = await import("./forget-foreign.ts");
    forgetForeign(internals, id);
  }
  faultPoint("discard-volumes");
  if ("name" in container) containers.names.release(container.name, id);
  else containers.releaseNames(id);
  faultPoint("discard-name");
  containers.removeDirectory(id);
  if ("name" in container) events.append("container", "destroy", id, containerAttributes(container));
}
