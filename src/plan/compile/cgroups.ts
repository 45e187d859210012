/**
 * The container's cgroups: made, limited and entered.
 *
 * v2 (and the v2 tree of a hybrid machine): made before the clone, which puts the child into it. v1:
 * made after the clone, while the child goes on with its mounts, then the child is moved. In both cases
 * the child waits, where it must, until all limits are written.
 */
import { posix } from "node:path";
import { refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { type CgroupHierarchy, cgroupDirectory } from "../../linux/cgroup-mounts.ts";
import { type Step, syncPoints } from "../plan.ts";
import type { Draft } from "./draft.ts";
import type { NamespacePlan } from "./namespaces.ts";
import type { ForeignCgroups } from "./request.ts";
import { permittedCgroups } from "./rootless.ts";

/** One cgroup of the container. */
export interface ContainerCgroup {
  readonly hierarchy: CgroupHierarchy;
  readonly version: 1 | 2;
  /** v1: its controllers, "name=systemd" for a named hierarchy; v2: empty. */
  readonly controllers: readonly string[];
  /** Below the mount point. */
  readonly path: string;
  readonly register: string;
}

const where = "/linux/cgroupsPath";
export const unifiedRegister = "cgroup";

/** The path of this process below the mount point. */
function ownPathBelow(hierarchy: CgroupHierarchy): string {
  return hierarchy.ownDirectory?.slice(hierarchy.mountPoint.length) || "/";
}

function pathIn(draft: Draft, hierarchy: CgroupHierarchy, version: 1 | 2): string {
  const asked = draft.linux.cgroupsPath ?? "";
  if (asked.startsWith("/")) {
    const path = posix.normalize(asked);
    if (path === "/") refuse(where, "must name a cgroup below the root");
    return path.replace(/\/$/, "");
  }
  const own = ownPathBelow(hierarchy);
  // v2: this process is in its cgroup, so no controller can be enabled below it (cgroups(7), "no
  // internal processes"): beside it
  const base = version === 2 ? posix.dirname(own) : own;
  const relative = posix.normalize(`/${asked || draft.request.id}`);
  if (relative === "/") refuse(where, "must name a cgroup");
  return posix.join(base, relative);
}

/**
 * All cgroups that the container gets: one in each hierarchy. Where a user without privileges may not make one, and
 * asks for no limit that needs it, the container stays in that of the caller, as with runc.
 */
export function cgroupsOf(draft: Draft): readonly ContainerCgroup[] {
  const foreign = foreignCgroups(draft);
  if (foreign) return foreign.kind === "unit" ? [cgroupOfUnit(draft, foreign.path)] : [];
  const all = inEachHierarchy(draft, (hierarchy, version) => pathIn(draft, hierarchy, version));
  return permittedCgroups(draft, all);
}

function inEachHierarchy(
  draft: Draft,
  pathOf: (hierarchy: CgroupHierarchy, version: 1 | 2) => string,
): readonly ContainerCgroup[] {
  const { unified, controllers } = draft.facts.cgroups;
  const cgroups: ContainerCgroup[] = [];
  for (const hierarchy of new Set(controllers.values())) {
    const names = [
      ...hierarchy.controllers,
      ...(hierarchy.name === undefined ? [] : [`name=${hierarchy.name}`]),
    ];
    cgroups.push({
      hierarchy,
      version: 1,
      controllers: names,
      path: pathOf(hierarchy, 1),
      register: `cgroup ${names.join(",")}`,
    });
  }
  if (unified)
    cgroups.push({
      hierarchy: unified,
      version: 2,
      controllers: [],
      path: pathOf(unified, 2),
      register: unifiedRegister,
    });
  return cgroups;
}

/** Who else makes the cgroups; undefined where the plan does. */
export function foreignCgroups({ request: { mode } }: Draft): ForeignCgroups | undefined {
  return mode.kind === "oci" ? mode.cgroups : undefined;
}

function cgroupOfUnit({ facts: { cgroups } }: Draft, path: string): ContainerCgroup {
  const hierarchy = cgroups.unified;
  const directory = hierarchy && cgroupDirectory(hierarchy.mountPoint, hierarchy.root, path);
  if (cgroups.mode !== "v2" || directory === undefined)
    throw new GantryError(
      "failed-precondition",
      cgroups.mode === "v2"
        ? `the cgroup ${path} of the systemd unit is not below /sys/fs/cgroup as it is mounted here`
        : `systemd cgroups need cgroup v2 alone, this host has ${cgroups.mode}: use the cgroupfs driver`,
      { detail: { pointer: where } },
    );
  const below = directory.slice(hierarchy!.mountPoint.length);
  return { hierarchy: hierarchy!, version: 2, controllers: [], path: below, register: unifiedRegister };
}

/**
 * The controller has systemd make the unit with the child in it, which waits. What systemd has made is opened then,
 * and everything else is as with a cgroup of our own.
 */
export function awaitUnit(
  draft: Draft,
  cgroups: readonly ContainerCgroup[],
  controllers: readonly string[],
): void {
  const foreign = foreignCgroups(draft);
  const [cgroup] = cgroups;
  if (foreign?.kind !== "unit" || !cgroup) return;
  const phrase = "unable to apply cgroup configuration";
  draft.host.push({ op: "sync", where, phrase, point: syncPoints.unit });
  enableControllers(draft, cgroup, controllers);
  makeCgroup(draft, cgroup);
  if (foreign.moveChild) draft.host.push({ op: "move-child", where, phrase, dir: cgroup.register });
}

/** Every hierarchy as the container sees it: its own cgroup there, or that of the caller in which it stays. */
export function visibleCgroups(
  draft: Draft,
  cgroups: readonly ContainerCgroup[],
): readonly ContainerCgroup[] {
  const callers = inEachHierarchy(draft, ownPathBelow);
  return callers.map((caller) => cgroups.find(({ register }) => register === caller.register) ?? caller);
}

function makeCgroup(draft: Draft, cgroup: ContainerCgroup): void {
  draft.host.push({
    op: "make-cgroup",
    where,
    phrase: "unable to apply cgroup configuration",
    mount: cgroup.hierarchy.mountPoint,
    path: cgroup.path,
    init: foreignCgroups(draft) ? 0 : cgroup.controllers.includes("cpuset") ? 1 : 2,
    dir: cgroup.register,
  });
  // systemd ends a unit when it sees that its cgroup is empty, which it cannot when the cgroup is gone
  const op = foreignCgroups(draft) ? "empty-cgroup" : "remove-cgroup";
  draft.cleanup.push({ op, where, mount: cgroup.hierarchy.mountPoint, path: cgroup.path });
}

/** What is done before the clone; says which register the clone takes. */
export function makeUnifiedCgroup(
  draft: Draft,
  cgroups: readonly ContainerCgroup[],
  controllers: readonly string[],
): string | undefined {
  const unified = cgroups.find(({ version }) => version === 2);
  if (!unified || foreignCgroups(draft)) return undefined;
  enableControllers(draft, unified, controllers);
  makeCgroup(draft, unified);
  return unified.register;
}

function enableControllers(
  draft: Draft,
  { hierarchy, path }: ContainerCgroup,
  controllers: readonly string[],
): void {
  if (controllers.length === 0) return;
  const phrase = "unable to apply cgroup configuration";
  draft.host.push({
    op: "enable-controllers",
    where,
    phrase,
    mount: hierarchy.mountPoint,
    path,
    controllers,
  });
}

/** What is done after the clone, beside the child. */
export function makeControllerCgroups(draft: Draft, cgroups: readonly ContainerCgroup[]): void {
  for (const cgroup of cgroups) if (cgroup.version === 1) makeCgroup(draft, cgroup);
}

/**
 * How the child gets into its v1 cgroups once all their limits stand: half-written device rules would refuse it the
 * nodes that it is making at the same time. It moves itself, which is cheaper, where it is still root on the host and
 * sees the host's paths; the steps for that come back.
 */
export function enterCgroups(
  draft: Draft,
  cgroups: readonly ContainerCgroup[],
  namespaces: NamespacePlan,
): readonly Step[] {
  const phrase = "unable to apply cgroup configuration";
  const v1 = cgroups.filter(({ version }) => version === 1);
  if (!namespaces.private.has("user") && !namespaces.joined.has("mount"))
    return v1.map(({ hierarchy, path }) => ({
      op: "enter-cgroup",
      where,
      phrase,
      mount: hierarchy.mountPoint,
      path,
    }));
  for (const { register } of v1) draft.host.push({ op: "move-child", where, phrase, dir: register });
  return [];
}
