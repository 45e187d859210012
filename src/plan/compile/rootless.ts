/**
 * What a process may not do that is not root on the host, and what becomes of it: passed over where the container is
 * the same without it, else refused in runc's words.
 */
import { posix } from "node:path";
import { refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { cgroupV1Values } from "../../linux/cgroup-v1-values.ts";
import { cgroupV2Values } from "../../linux/cgroup-v2-values.ts";
import { type HostFacts, holds } from "../host-facts.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import type { Draft } from "./draft.ts";

const capSysAdmin = 21;

/** Whether this process may mount what lies on the host; else the child does, in the namespaces that are its own. */
export function mayMountOnHost(facts: HostFacts): boolean {
  return holds(facts, capSysAdmin) && !facts.inUserNamespace;
}

/** Whether cgroups that this process may not make are passed over; --rootless decides, if given. */
function passesOverCgroups({ request, facts }: Draft): boolean {
  const { mode } = request;
  return (mode.kind === "oci" ? mode.rootless : undefined) ?? (facts.uid !== 0 || facts.inUserNamespace);
}

/** The deepest directory that both paths have. */
function commonAncestor(a: string, b: string): string {
  const [as, bs] = [a.split("/"), b.split("/")];
  const end = as.findIndex((part, index) => part !== bs[index]);
  return as.slice(0, end < 0 ? as.length : end).join("/") || "/";
}

function mayMake({ facts }: Draft, { hierarchy, version, path, controllers }: ContainerCgroup): boolean {
  // its rules need privileges that nobody can delegate: a cgroup of its own would be for nothing
  if (controllers.includes("devices") && !mayMountOnHost(facts)) return false;
  const directory = `${hierarchy.mountPoint}${path}`;
  if (!facts.mayWriteBelow(directory)) return false;
  // v2: who moves a process must be allowed to write at the place where both ways part (cgroups(7), "Delegation")
  if (version === 1) return true;
  const own = hierarchy.ownDirectory ?? hierarchy.mountPoint;
  return facts.mayWriteBelow(posix.join(commonAncestor(own, directory), "cgroup.procs"));
}

/** Of the cgroups that the config asks for, those that this process may make. */
export function permittedCgroups(
  draft: Draft,
  cgroups: readonly ContainerCgroup[],
): readonly ContainerCgroup[] {
  if (!passesOverCgroups(draft)) return cgroups;
  const permitted = cgroups.filter((cgroup) => mayMake(draft, cgroup));
  const refused = cgroups.filter((cgroup) => !permitted.includes(cgroup));
  const hybrid = draft.facts.cgroups.mode === "hybrid";
  for (const { hierarchy, path, version, controllers } of refused) {
    const needed = !controllers.includes("devices") && !(hybrid && version === 2);
    if (draft.linux.cgroupsPath && needed)
      throw new GantryError(
        "permission-denied",
        `unable to apply cgroup configuration: mkdir ${hierarchy.mountPoint}${path}: permission denied`,
        { detail: { pointer: "/linux/cgroupsPath" } },
      );
    draft.warn(
      `no cgroup can be made below ${hierarchy.mountPoint}: permission denied; the caller's own is kept`,
      "/linux/cgroupsPath",
    );
  }
  refuseLimits(draft, refused);
  return permitted;
}

/** A limit that was asked for and cannot be set is no detail. */
function refuseLimits({ linux, facts }: Draft, refused: readonly ContainerCgroup[]): void {
  const { resources } = linux;
  if (!resources || refused.length === 0) return;
  const version = facts.cgroups.mode === "v2" ? 2 : 1;
  const { writes } =
    version === 2
      ? cgroupV2Values(resources, { availableControllers: facts.unifiedControllers })
      : cgroupV1Values(resources);
  const lost = new Set(refused.flatMap(({ controllers }) => controllers));
  for (const { controller, optional, pointer } of writes)
    if (!optional && (version === 2 || lost.has(controller)))
      refuse(
        `/linux/resources${pointer}`,
        `cannot set ${controller} limit: container could not join or create cgroup`,
      );
}

/** runc's checks of a config that somebody without privileges runs. */
export function checkRootless(draft: Draft, hasUserNamespace: boolean): void {
  const { facts } = draft;
  if (holds(facts, capSysAdmin) || hasUserNamespace) return;
  refuse("/linux/namespaces", "rootless container requires user namespaces");
}
