/**
 * `mounts`, in their order. A bind source is a path of the host, so the host side opens it before the
 * clone, as a detached copy that the child inherits and attaches. A new file system is made in the
 * child, since proc, sysfs, mqueue and cgroup show the namespaces of who makes them.
 */
import { posix } from "node:path";
import { bug, GantryError } from "../../base/error.ts";
import { idMapText, toHostId } from "../../linux/id-map.ts";
import { mountAttr, mountFlag } from "../../linux/mount-options.ts";
import type { Step } from "../plan.ts";
import { mountCgroups } from "./cgroup-mount.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import { donorRegister, tmpfsType } from "./donors.ts";
import { type Draft, rootRegister } from "./draft.ts";
import { openHeld } from "./held-mounts.ts";
import { heldOf, type PlannedMount } from "./mount-entries.ts";
import type { NamespacePlan } from "./namespaces.ts";
import { userNamespaceRegister } from "./user-namespace.ts";

/** Opens a bind source and gives it its attributes. */
function openSource(draft: Draft, list: Step[], planned: PlannedMount): void {
  const { mount, options } = planned;
  const recursive = options.rbind || mount.type === "rbind" ? 1 : 0;
  cloneSource(draft, list, planned, recursive);
  // a copy is a peer of its source. Shared means to stay that; else nothing from inside may reach the
  // host, and without a word what happens on the host shows inside, as with runc
  const asked = options.propagation;
  const shared = asked.some((flag) => flag & mountFlag.shared);
  const last = asked.at(-1);
  const covered = last !== undefined && (last & mountFlag.recursive) !== 0;
  const changes = covered
    ? [last]
    : [...(shared ? [] : [mountFlag.slave | (recursive ? mountFlag.recursive : 0)]), ...asked];
  // one mount, one change of propagation: attributes go with it
  const single = recursive === 0 && changes.length === 1 && !options.recAttrSet && !options.recAttrClear;
  for (const flag of changes)
    pushAttributes(list, planned, {
      propagation: flag & ~mountFlag.recursive,
      recursive: single ? 0 : flag & mountFlag.recursive ? 1 : 0,
      ...(single ? { set: options.attrSet, clear: options.attrClear } : {}),
    });
  if (!single) pushOptionAttributes(list, planned);
}

/** A tmpfs that others have too. Of what is the mount's own it has what was asked for. */
function openShared(draft: Draft, planned: PlannedMount): void {
  const { destination, options } = planned;
  const source = heldOf(draft, destination) ?? bug(`a mount at ${destination} that nobody holds`);
  openHeld(draft, planned, source, fileSystemOptions(draft, planned));
  const set = options.attrSet | options.recAttrSet;
  pushAttributes(draft.host, planned, { set, propagation: mountFlag.private });
}

/** The mount itself: of a path of the host, of an image's layers, or of a place in one of these. */
function cloneSource(draft: Draft, list: Step[], planned: PlannedMount, recursive: number): void {
  const { mount, phrase, register: fd, destination } = planned;
  const { mode } = draft.request;
  const where = `${planned.where}/source`;
  const donor = draft.donor(mount.source!);
  // what a container lends is what it has at the same place
  if (donor) {
    const process = donorRegister(draft, donor, where);
    const [namespace, path, type] = [process, destination, tmpfsType];
    list.push({ op: "take-tree", where, phrase, namespace, path, type, fd });
    return;
  }
  const { lower, below } = (mode.kind === "engine" && mode.sources?.get(destination)) || {};
  if (!lower) {
    const path = draft.path(mount.source!);
    if (below === undefined) list.push({ op: "clone-tree", where, phrase, path, recursive, fd });
    else list.push({ op: "clone-below", where, phrase, dir: undefined, path, below, recursive, fd });
    return;
  }
  if (draft.linux.namespaces?.some(({ type }) => type === "user"))
    throw new GantryError(
      "unimplemented",
      `${phrase}: an image cannot be shown in a container with a user namespace yet`,
    );
  const layers = lower.map((layer) => `lowerdir+=${layer}`);
  const whole = below === undefined ? fd : `whole of ${fd}`;
  list.push({
    op: "make-mount",
    where,
    phrase,
    type: "overlay",
    options: [...layers, "source=overlay"],
    attributes: mountAttr.readonly,
    fd: whole,
  });
  if (below === undefined) return;
  list.push({ op: "clone-below", where, phrase, dir: whole, path: "", below, recursive, fd });
  list.push({ op: "close", where, fd: whole });
}

function pushAttributes(
  list: Step[],
  { where, phrase, register: fd }: PlannedMount,
  change: { set?: number; clear?: number; propagation?: number; recursive?: number; userns?: string },
): void {
  const { set = 0, clear = 0, propagation = 0, recursive = 0, userns } = change;
  list.push({
    op: "set-mount-attributes",
    where: `${where}/options`,
    phrase,
    fd,
    set,
    clear,
    propagation,
    recursive,
    userns,
  });
}

/** Attributes of a bind: what was asked for is set, what was asked against is cleared, the rest stays. */
function pushOptionAttributes(list: Step[], planned: PlannedMount): void {
  const { attrSet, attrClear, recAttrSet, recAttrClear } = planned.options;
  if (recAttrSet || recAttrClear)
    pushAttributes(list, planned, { set: recAttrSet, clear: recAttrClear, recursive: 1 });
  if (attrSet || attrClear) pushAttributes(list, planned, { set: attrSet, clear: attrClear });
}

/** Before the clone: the bind sources. */
export function openSources(draft: Draft, mounts: readonly PlannedMount[]): void {
  for (const planned of mounts) {
    if (!planned.inherited) continue;
    if (planned.kind === "held") openShared(draft, planned);
    else openSource(draft, draft.host, planned);
    if (planned.ids === "own") mapOwnIds(draft, planned);
  }
}

export function needsUserNamespace(mounts: readonly PlannedMount[]): boolean {
  return mounts.some(({ ids }) => ids === "container");
}

function mapIds(draft: Draft, planned: PlannedMount, userns: string): void {
  const recursive = planned.options.idmap === "ridmap" ? 1 : 0;
  pushAttributes(draft.host, planned, { set: mountAttr.idmap, recursive, userns });
}

/** Before the clone: a user namespace that no process is in holds the map. */
function mapOwnIds(draft: Draft, planned: PlannedMount): void {
  const { uidMappings = [], gidMappings = [] } = planned.mount;
  const where = `${planned.where}/uidMappings`;
  const fd = `ids of ${planned.register}`;
  const [uidMap, gidMap] = [idMapText(uidMappings), idMapText(gidMappings)];
  draft.host.push({ op: "make-user-namespace", where, phrase: planned.phrase, uidMap, gidMap, fd });
  mapIds(draft, planned, fd);
  draft.host.push({ op: "close", where, fd });
}

/** On the host side, when the user namespace has its ids and before the child attaches anything. */
export function mapSources(draft: Draft, mounts: readonly PlannedMount[]): void {
  for (const planned of mounts)
    if (planned.ids === "container") mapIds(draft, planned, userNamespaceRegister);
}

/** Options of attach-mount. */
const attachBits = { noSymlinks: 1, isProc: 4, overProc: 8 } as const;

/** Files of proc that may be replaced, as runc allows it for lxcfs (checkProcMount in its rootfs_linux.go). */
const replaceableInProc = new Set(
  [
    ...["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev"],
    ...["sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"],
  ].map((file) => `/proc/${file}`),
);

function attachOptions({ mount: { type }, destination }: PlannedMount): number {
  const path = posix.normalize(destination).replace(/(.)\/$/, "$1");
  return (
    // a link at /proc or /sys would lead the container's own files to another place (CVE-2019-19921)
    (type === "proc" || type === "sysfs" ? attachBits.noSymlinks : 0) |
    (path === "/proc" ? attachBits.isProc : 0) |
    // with links in proc itself /proc/net/../stat is not /proc/stat
    (replaceableInProc.has(path) && !destination.includes("..") ? attachBits.overProc : 0)
  );
}

function attach(draft: Draft, planned: PlannedMount): void {
  const { where, phrase, register: mount, destination: path } = planned;
  const options = attachOptions(planned);
  draft.child.push({
    op: "attach-mount",
    where: `${where}/destination`,
    phrase,
    mount,
    root: rootRegister,
    path,
    options,
  });
}

/**
 * The group of terminals, 5 in everybody's config, where the user namespace does not have it: the kernel would refuse
 * the mount, and terminals belong to their user all the same. As crun does it.
 */
function isUnmappedGroup(draft: Draft, { mount, where }: PlannedMount, option: string): boolean {
  const gid = mount.type === "devpts" ? /^gid=(\d+)$/.exec(option)?.[1] : undefined;
  const { gidMappings, namespaces = [] } = draft.linux;
  if (gid === undefined || !namespaces.some(({ type, path }) => type === "user" && !path)) return false;
  if (toHostId(gidMappings ?? [], Number(gid)) !== undefined) return false;
  draft.warn(`gid=${gid} is not mapped in the user namespace and is left out`, `${where}/options`);
  return true;
}

/** Options for the file system itself. Each text may hold several, with commas, as for mount(8). */
function fileSystemOptions(draft: Draft, planned: PlannedMount, isNew = true): readonly string[] {
  const { options, mount, where } = planned;
  const data = mount.type === "overlay" ? options.data : options.data.flatMap((text) => text.split(","));
  const flags: string[] = [];
  for (const flag of options.sbFlags)
    if (flag === "iversion")
      draft.warn("iversion is not an option of a new mount and is left out", `${where}/options`);
    else if (flag !== "silent") flags.push(flag);
  const label = draft.linux.mountLabel;
  const labelled =
    label &&
    isNew &&
    draft.facts.securityModules.includes("selinux") &&
    mount.type !== "proc" &&
    mount.type !== "sysfs";
  return [
    ...(mount.source && isNew ? [`source=${mount.source}`] : []),
    ...data.filter((text) => text !== "" && !isUnmappedGroup(draft, planned, text)),
    ...flags,
    ...(labelled ? [`context=${label}`] : []),
  ];
}

function mountNew(draft: Draft, planned: PlannedMount): void {
  const { mount, where, phrase, register: fd, options, destination: path } = planned;
  const attributes = options.attrSet | options.recAttrSet;
  // the content of a tmpfs that starts as a copy is written before it becomes read-only
  const copyUp = options.tmpcopyup && mount.type === "tmpfs";
  const late = mount.type === "tmpfs" ? attributes & mountAttr.readonly : 0;
  const fileSystem = fileSystemOptions(draft, planned);
  draft.child.push({
    op: "make-mount",
    where,
    phrase,
    type: mount.type!,
    options: fileSystem,
    attributes: attributes & ~late,
    fd,
  });
  // without a mode of its own a tmpfs looks like what it covers, as with runc (/tmp stays 1777)
  if (mount.type === "tmpfs" && !fileSystem.some((option) => option.startsWith("mode=")))
    draft.child.push({
      op: "take-mode",
      where: `${where}/options`,
      phrase,
      root: rootRegister,
      path,
      mount: fd,
    });
  if (copyUp)
    draft.child.push({
      op: "copy-up",
      where: `${where}/options`,
      phrase,
      root: rootRegister,
      path,
      mount: fd,
    });
  if (late) pushAttributes(draft.child, planned, { set: late });
  for (const flag of options.propagation)
    pushAttributes(draft.child, planned, { propagation: flag & ~mountFlag.recursive });
}

/**
 * What is mounted at the destination keeps what the options do not speak of. Without `bind` the options of the file
 * system change too; the attributes never do for all of its mounts, some of which may be the host's.
 */
function remount(draft: Draft, planned: PlannedMount): void {
  const { where, phrase, options, destination: path } = planned;
  const fileSystem = options.bind || options.rbind ? [] : fileSystemOptions(draft, planned, false);
  const push = (set: number, clear: number, recursive: number, names: readonly string[]) =>
    draft.child.push({
      op: "remount",
      where: `${where}/options`,
      phrase,
      root: rootRegister,
      path,
      options: names,
      set,
      clear,
      recursive,
    });
  push(options.attrSet, options.attrClear, 0, fileSystem);
  if (options.recAttrSet || options.recAttrClear) push(options.recAttrSet, options.recAttrClear, 1, []);
}

/** sysfs belongs to a network namespace; in a user namespace without an own one only a copy of the host's is allowed. */
function bindsSys({ facts }: Draft, { mount }: PlannedMount, namespaces: NamespacePlan): boolean {
  const inUserNamespace = namespaces.private.has("user") || facts.inUserNamespace;
  return mount.type === "sysfs" && inUserNamespace && !namespaces.private.has("network");
}

/** In the child: everything in its order. */
export function placeMounts(
  draft: Draft,
  mounts: readonly PlannedMount[],
  namespaces: NamespacePlan,
  cgroups: readonly ContainerCgroup[],
): void {
  for (const planned of mounts) {
    if (planned.kind === "remount") {
      remount(draft, planned);
      continue;
    }
    if (planned.kind === "cgroup") {
      mountCgroups(draft, planned, namespaces, cgroups);
      continue;
    }
    if (planned.inherited) {
      // it is there
    } else if (planned.kind === "bind") openSource(draft, draft.child, planned);
    else if (bindsSys(draft, planned, namespaces)) {
      const { where, phrase, register: fd } = planned;
      draft.child.push({ op: "clone-tree", where, phrase, path: "/sys", recursive: 1, fd });
      pushAttributes(draft.child, planned, { propagation: mountFlag.slave, recursive: 1 });
      pushOptionAttributes(draft.child, planned);
    } else mountNew(draft, planned);
    attach(draft, planned);
    draft.child.push({ op: "close", where: planned.where, fd: planned.register });
  }
}
