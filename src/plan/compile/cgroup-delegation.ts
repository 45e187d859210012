/**
 * Who owns the container's cgroup (runtime-spec, config-linux.md "Cgroup ownership"): a v2 cgroup that the container
 * can write to, through its own cgroup namespace and a mount that is not read-only, belongs to the user of its
 * process, so that it may divide it further. Only the files that the kernel names are given away.
 */
import { mountAttr } from "../../linux/mount-options.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import type { Draft } from "./draft.ts";
import type { PlannedMount } from "./mount-entries.ts";

const where = "/linux/cgroupsPath";

function isWritable({ kind, options }: PlannedMount): boolean {
  return kind === "cgroup" && ((options.attrSet | options.recAttrSet) & mountAttr.readonly) === 0;
}

/** The host's id of the user of the process; undefined where the host's own ids hold, or it has none. */
function ownerOf(draft: Draft): number | undefined {
  const { namespaces = [], uidMappings = [] } = draft.linux;
  const hasOwn = (kind: string) => namespaces.some(({ type, path }) => type === kind && !path);
  if (!hasOwn("cgroup") || !hasOwn("user")) return undefined;
  const uid = draft.config.process?.user?.uid ?? 0;
  const map = uidMappings.find(({ containerID, size }) => uid >= containerID && uid < containerID + size);
  return map && map.hostID + uid - map.containerID;
}

export function delegateCgroup(
  draft: Draft,
  cgroups: readonly ContainerCgroup[],
  mounts: readonly PlannedMount[],
): void {
  if (draft.facts.cgroups.mode !== "v2" || draft.facts.uid !== 0) return;
  const [unified] = cgroups;
  const uid = ownerOf(draft);
  if (!unified || uid === undefined || !mounts.some(isWritable)) return;
  draft.host.push({
    op: "delegate-cgroup",
    where,
    phrase: "unable to apply cgroup configuration",
    dir: unified.register,
    files: draft.facts.delegatedCgroupFiles,
    uid,
  });
}
