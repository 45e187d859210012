/** What a start has to know of mounts that are no plain path of the host. */
import { posix } from "node:path";
import type { MountOption } from "../../bundle/container-options.ts";
import type { Internals } from "../internals.ts";

export const cleanTarget = (target: string): string => posix.normalize(target).replace(/(.)\/$/, "$1");

/** What of a container's mounts is no plain path of the host, by destination. */
export async function mountSources(internals: Internals, options: readonly MountOption[]) {
  const sources = new Map<string, { lower?: readonly string[]; below?: string }>();
  for (const mount of options) {
    const destination = cleanTarget(mount.target);
    if (mount.kind === "volume" && mount.subpath !== undefined)
      sources.set(destination, { below: mount.subpath });
    if (mount.kind !== "image") continue;
    const { lower } = await (await internals.snapshotter()).mounts(mount.view!);
    sources.set(destination, { lower, ...(mount.subpath === undefined ? {} : { below: mount.subpath }) });
  }
  return sources;
}
