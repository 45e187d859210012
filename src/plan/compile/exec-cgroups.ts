/** Into which cgroups a further process of a container goes: those in which its init is. */
import { cgroupDirectory, parseProcCgroup } from "../../linux/cgroup-mounts.ts";
import type { Draft } from "./draft.ts";
import type { ExecCgroup, ExecRequest } from "./request.ts";

const where = "/linux/cgroupsPath";
const phrase = "unable to apply cgroup configuration";
const unifiedRegister = "cgroup";

/**
 * A container that manages its own cgroups (systemd, docker in docker) has moved init below the cgroup that was made
 * for it, and on v2 that one takes no process any more (cgroups(7), "no internal processes").
 */
function whereInitIs(
  draft: Draft<ExecRequest>,
  cgroup: ExecCgroup,
  paths: ReadonlyMap<string, string>,
): string {
  const key = cgroup.version === 2 ? "" : (cgroup.controllers?.[0] ?? "");
  const now = paths.get(key);
  // one that begins with /.. lies outside of what this process's cgroup namespace shows
  if (now === undefined || now === cgroup.path || now.startsWith("/..")) return cgroup.path;
  const { unified, controllers } = draft.facts.cgroups;
  const hierarchy = cgroup.version === 2 ? unified : controllers.get(key);
  // a mount that shows a part of its hierarchy: paths in it begin at that part
  const directory = hierarchy && cgroupDirectory(cgroup.mount, hierarchy.root, now);
  return directory?.startsWith(`${cgroup.mount}/`) ? directory.slice(cgroup.mount.length) : cgroup.path;
}

function cgroupsOfInit(draft: Draft<ExecRequest>): readonly ExecCgroup[] {
  const { cgroups, initCgroups } = draft.request.mode;
  if (initCgroups === undefined || cgroups.length === 0) return cgroups;
  const paths = parseProcCgroup(initCgroups);
  return cgroups.map((cgroup) => ({ ...cgroup, path: whereInitIs(draft, cgroup, paths) }));
}

/** v2: before the clone, which takes the register that comes back. */
export function openUnifiedCgroup(draft: Draft<ExecRequest>): string | undefined {
  const unified = cgroupsOfInit(draft).find(({ version }) => version === 2);
  if (!unified) return undefined;
  const { mount, path } = unified;
  draft.host.push({ op: "open-cgroup", where, phrase, mount, path, dir: unifiedRegister });
  return unifiedRegister;
}

/** v1: by the child itself, while it sees the host's paths. */
export function enterControllerCgroups(draft: Draft<ExecRequest>): void {
  for (const { version, mount, path } of cgroupsOfInit(draft))
    if (version === 1) draft.child.push({ op: "enter-cgroup", where, phrase, mount, path });
}
