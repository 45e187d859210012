/**
 * A pod -> the plan of its start: cgroups and namespaces that its containers will be put into, and what undoes them.
 *
 *     host side                                   child
 *     pin /dev/shm, make v2 cgroups
 *     clone ────────────────────────────────────► wait for ids
 *     write id maps ─────────────identity───────► name, lo, sysctls
 *     make v1 cgroups, write limits
 *     pin namespaces ◄───────────ready─────────── stay
 *     network
 *     end the child, record
 *
 * A namespace stays while a mount shows it, so the child is not needed any more. Only a pid namespace ends with its
 * first process: where the containers share one, the child gives up its root, its user and its privileges, and becomes a pause
 * process of a few pages.
 */
import { join } from "node:path";
import { refuse } from "../../base/decode.ts";
import { toHostId } from "../../linux/id-map.ts";
import { mountAttr, mountFlag } from "../../linux/mount-options.ts";
import { cloneFlags, type NamespaceKind, namespaces as namespaceFacts } from "../../linux/namespaces.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { HostFacts } from "../host-facts.ts";
import { meetings } from "../meetings.ts";
import { type Plan, syncPoints } from "../plan.ts";
import { stateFiles } from "../state-files.ts";
import { controllersToEnable, limitCgroups } from "./cgroup-limits.ts";
import { type ContainerCgroup, cgroupsOf, makeControllerCgroups, makeUnifiedCgroup } from "./cgroups.ts";
import { Draft } from "./draft.ts";
import { lateText } from "./late-text.ts";
import { enterNamespaces, type NamespacePlan, nameNamespaces, readNamespaces } from "./namespaces.ts";
import { openProcForSysctls, writeSysctls } from "./sysctl.ts";

/** Where a pod has what, below its state directory. */
export const podPlaces = {
  namespace: (state: string, kind: NamespaceKind) => join(state, "ns", namespaceFacts[kind].procName),
  shm: (state: string) => join(state, "shm"),
} as const;

export interface PodRequest {
  readonly id: string;
  /**
   * Of a runtime config what a pod has of its own: hostname, namespaces, id maps, sysctls, the path of the cgroup that
   * its containers go into, and the limits of that.
   */
  readonly config: RuntimeConfig;
  readonly facts: HostFacts;
  /** Directory on the run-time side that the caller has made, with `ns` and `shm` in it. */
  readonly state: string;
  /** Size of the /dev/shm that the containers share; none if they share none. */
  readonly shmBytes?: number | undefined;
  /** Whether the pid namespace is one that the containers share. */
  readonly pause: boolean;
  /** False: the cgroup is somebody else's, who has made it. */
  readonly ownsCgroup: boolean;
  /** Whether the controller sets up a network: the plan stops at the sync point `network`. */
  readonly network: boolean;
  readonly warn?: ((message: string, pointer: string) => void) | undefined;
}

/** Compiles the start of a pod. Its clean-up alone is how a pod is stopped. */
export function compilePod(request: PodRequest): Plan {
  const { id, config, facts, state, warn } = request;
  if (!config.linux?.cgroupsPath?.startsWith("/")) refuse("/linux/cgroupsPath", "must be absolute");
  const draft = new Draft({
    id,
    config,
    facts,
    bundle: state,
    filter: undefined,
    mode: { kind: "oci", state, awaitStart: false, foreground: false },
    warn,
  });
  const namespaces = readNamespaces(draft);
  const { pause } = request;
  const { pod, leaf } = podCgroups(draft, pause, request.ownsCgroup);

  shareMemory(draft, request);
  if (pause) openEmptyRoot(draft);
  const enable = controllersToEnable(draft, [...pod, ...leaf]);
  makeUnifiedCgroup(draft, pod, enable);
  const cgroup = makeUnifiedCgroup(draft, leaf, enable);
  draft.host.push({
    op: "clone",
    where: "/linux/namespaces",
    namespaces: cloneFlags(namespaces.own),
    cgroup,
  });
  for (const { register, version } of [...pod, ...leaf])
    if (version === 2) draft.child.push({ op: "close", where: "/linux/cgroupsPath", fd: register });
  enterNamespaces(draft, namespaces, namespaces.own, () => {});
  makeControllerCgroups(draft, pod);
  limitCgroups(draft, pod);
  makeControllerCgroups(draft, leaf);
  for (const { register, version } of leaf)
    if (version === 1) draft.host.push({ op: "move-child", where: "/linux/cgroupsPath", dir: register });

  openProcForSysctls(draft);
  nameNamespaces(draft, namespaces);
  if (pause) attachEmptyRoot(draft);
  writeSysctls(draft, namespaces);
  draft.child.push({ op: "tell-host", where: "", step: meetings.ready });
  draft.host.push({ op: "await-child", where: "", step: meetings.ready });
  pinNamespaces(draft, namespaces, state);
  if (request.network) draft.host.push({ op: "sync", where: "", point: syncPoints.network });
  if (pause) becomePause(draft, state);
  else endChild(draft, state);
  draft.cleanup.unshift({ op: "kill-child", where: "" });
  return draft.finish();
}

/**
 * The cgroup of the pod, and that of its pause process below it: processes and further cgroups do not go together in
 * one cgroup (cgroups(7), "no internal processes").
 */
function podCgroups(draft: Draft, pause: boolean, own: boolean) {
  const given = cgroupsOf(draft);
  const leafName = own ? "pause" : `pause-${draft.request.id}`;
  const leaf = given.map(
    (cgroup): ContainerCgroup => ({
      ...cgroup,
      path: `${cgroup.path}/${leafName}`,
      register: `pause ${cgroup.register}`,
    }),
  );
  return { pod: own ? given : [], leaf: pause ? leaf : [] };
}

/** The tmpfs that every container of the pod shows at its /dev/shm. */
function shareMemory({ host, cleanup, linux }: Draft, { state, shmBytes }: PodRequest): void {
  if (shmBytes === undefined) return;
  const path = podPlaces.shm(state);
  const owner = (mappings = linux.uidMappings) => toHostId(mappings ?? [], 0) ?? 0;
  const where = "/linux/namespaces";
  host.push(
    {
      op: "make-mount",
      where,
      type: "tmpfs",
      options: [
        "source=shm",
        "mode=1777",
        `size=${shmBytes}`,
        `uid=${owner()}`,
        `gid=${owner(linux.gidMappings)}`,
      ],
      attributes: mountAttr.nosuid | mountAttr.nodev | mountAttr.noexec,
      fd: "shm",
    },
    { op: "pin", where, fd: "shm", path, kind: 0 },
    { op: "close", where, fd: "shm" },
  );
  cleanup.push({ op: "unpin", where, path, kind: 0 });
}

function pinNamespaces(draft: Draft, namespaces: NamespacePlan, state: string): void {
  for (const kind of namespaces.own) {
    // a pid namespace is held by its process; the mount namespace was only the child's
    if (kind === "mount" || kind === "pid") continue;
    const where = namespaces.where.get(kind) ?? "";
    const path = podPlaces.namespace(state, kind);
    const fd = `${kind} of pod`;
    draft.host.push(
      { op: "open-child-namespace", where, kind: namespaceFacts[kind].cloneFlag, fd },
      { op: "pin", where, fd, path, kind: 1 },
      { op: "close", where, fd },
    );
    draft.cleanup.push({ op: "unpin", where, path, kind: 1 });
  }
}

function endChild({ child, host, request: { id } }: Draft, state: string): void {
  child.push({ op: "stay", where: "" });
  host.push(
    {
      op: "record-start",
      where: "",
      dir: state,
      name: stateFiles.sandbox,
      record: lateText({ id }, { startedAt: '"@TIME@"' }),
    },
    { op: "end-child", where: "" },
  );
}

/** An empty file system that nobody can write to, in the place of a root. */
const emptyRoot = "root";

function openEmptyRoot({ host }: Draft): void {
  host.push({
    op: "make-mount",
    where: "",
    type: "tmpfs",
    options: ["source=pause", "nr_inodes=1", "mode=555"],
    attributes: mountAttr.readonly | mountAttr.nosuid | mountAttr.nodev | mountAttr.noexec,
    fd: emptyRoot,
  });
}

function attachEmptyRoot({ child }: Draft): void {
  child.push(
    { op: "set-propagation", where: "", flags: mountFlag.slave | mountFlag.recursive },
    { op: "attach-root", where: "", mount: emptyRoot },
  );
}

/** Nobody, as that of Kubernetes' own pause image. */
const pauseUser = 65535;

/** It may be traced by who shares its pid namespace and has the right: so it has nothing that those have not. */
function becomePause(draft: Draft, state: string): void {
  const { child, host, linux, request } = draft;
  const { id } = request;
  const user = linux.uidMappings && toHostId(linux.uidMappings, pauseUser) === undefined ? 0 : pauseUser;
  child.push(
    { op: "pivot", where: "", root: emptyRoot, mode: 0 },
    { op: "drop-bounding", where: "", keep: 0 },
    { op: "close-descriptors", where: "", keep: 0 },
    { op: "set-user", where: "", uid: user, gid: user, groups: [], setGroups: 1 },
    { op: "set-capabilities", where: "", effective: 0, permitted: 0, inheritable: 0, ambient: 0 },
    { op: "set-no-new-privileges", where: "" },
    { op: "await-host", where: "", step: meetings.recorded },
    { op: "become-pause", where: "", name: id },
  );
  host.push(
    {
      op: "record-start",
      where: "",
      dir: state,
      name: stateFiles.sandbox,
      record: lateText({ id }, { startedAt: '"@TIME@"', pid: "@PID@", pidStart: "@START@" }),
    },
    { op: "tell-child", where: "", step: meetings.recorded },
    { op: "await-exec", where: "" },
  );
}
