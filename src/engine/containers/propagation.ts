/** Whether mount events can pass between a bind mount and the host, as its propagation asks. */
import { readFileSync, realpathSync } from "node:fs";
import { GantryError, wrapErrno } from "../../base/error.ts";
import type { BindMountOption, MountOption } from "../../bundle/container-options.ts";
import { type MountEntry, parseMountinfo } from "../../linux/mountinfo.ts";

/** Refuses, in docker's words, what the mount of the host below a source does not give. */
export function checkPropagation(mounts: readonly MountOption[]): void {
  const asking = mounts.filter(
    (mount): mount is BindMountOption =>
      mount.kind === "bind" && /^r?(shared|slave)$/.test(mount.propagation ?? ""),
  );
  if (asking.length === 0) return;
  const entries = parseMountinfo(readFileSync("/proc/self/mountinfo", "latin1"));
  for (const { source, propagation } of asking) {
    const { mountPoint, tags } = mountOf(entries, source);
    const shared = tags.some((tag) => tag.startsWith("shared:"));
    const slave = tags.some((tag) => tag.startsWith("master:"));
    const kind = propagation!.endsWith("shared") ? "shared" : "shared or slave";
    if (shared || (slave && kind !== "shared")) continue;
    throw new GantryError(
      "failed-precondition",
      `path ${source} is mounted on ${mountPoint} but it is not a ${kind} mount`,
      { detail: { source, mountPoint } },
    );
  }
}

/** The mount that a path lies on: the last one of the longest mount point above it. */
function mountOf(entries: readonly MountEntry[], source: string): MountEntry {
  let path: string;
  try {
    // mountinfo has bytes, as this text then has
    path = Buffer.from(realpathSync(source)).toString("latin1");
  } catch (error) {
    throw wrapErrno(error, "bind source", source);
  }
  let best: MountEntry | undefined;
  for (const entry of entries) {
    const { mountPoint } = entry;
    const above = mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);
    if (above && mountPoint.length >= (best?.mountPoint.length ?? 0)) best = entry;
  }
  if (best) return best;
  throw new GantryError("internal", `bind source "${source}" lies on no mount`);
}
