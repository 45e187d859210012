/**
 * What another runtime would have to be told in words of its own, or could not reach: namespaces and mounts of other
 * containers, an overlay with the ids of a user namespace, images and parts of volumes. The executor makes it, and the
 * runtime finds it as a path, in mounts that nobody else sees.
 */
import { basename, join } from "node:path";
import { bug } from "../../base/error.ts";
import { idMapText } from "../../linux/id-map.ts";
import { parseMountOptions } from "../../linux/mount-options.ts";
import { cloneFlags, namespaces as namespaceFacts } from "../../linux/namespaces.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { RuntimeLinux } from "../../spec/runtime-linux.ts";
import { donorRegister } from "./donors.ts";
import { type Draft, rootRegister } from "./draft.ts";
import { mapLayers } from "./idmapped-root.ts";
import { type PlannedMount, readMounts } from "./mount-entries.ts";
import { mapSources, openSources } from "./mounts.ts";
import { type NamespacePlan, readNamespaces } from "./namespaces.ts";
import { openRoot, rootOf } from "./root.ts";
import { foreignPlaces } from "./runtime-steps.ts";
import { userNamespaceRegister } from "./user-namespace.ts";

/**
 * Root of a user namespace may not go through the directories of the store, which are the host's root's alone. So what
 * is for it shows in an own mount over a directory that everybody may go through, that every machine has, and that no
 * runtime looks into: it makes terminals in the devpts of the container.
 */
const publicPlace = "/dev/pts";
const mappedRoot = join(publicPlace, "rootfs");

/** Members of the config that are different for the runtime. */
export interface Lent {
  readonly root: string;
  readonly mounts: RuntimeConfig["mounts"];
  readonly namespaces: RuntimeLinux["namespaces"];
}

export function lend(draft: Draft, state: string): Lent {
  const plan = readNamespaces(draft);
  const isMapped = plan.private.has("user");
  const namespaces = lendNamespaces(draft, state);
  if (isMapped) openUserNamespace(draft, plan);
  openRoot(draft, plan);
  const planned = readMounts(draft);
  const lent = planned.filter((mount) => isLent(draft, mount, isMapped));
  openSources(draft, lent);
  if (isMapped) {
    const root = rootOf(draft);
    if (root.kind !== "overlay") bug("a root of the engine that is no overlay");
    mapSources(draft, lent);
    mapLayers(draft, root, false);
    draft.host.push({ op: "close", where: "", fd: userNamespaceRegister });
    coverPublicPlace(draft);
  }
  const root = isMapped ? mappedRoot : foreignPlaces.root(state);
  show(draft, "", rootRegister, root, isMapped ? 2 : 0);
  const pathOf = (mount: PlannedMount) =>
    join(isMapped ? publicPlace : foreignPlaces.mounts(state), String(planned.indexOf(mount)));
  for (const mount of lent) show(draft, `${mount.where}/source`, mount.register, pathOf(mount), 2);
  return {
    // as its callers have it: below the bundle where it is there
    root: isMapped ? root : "rootfs",
    mounts: planned.map((mount) => (lent.includes(mount) ? bindOf(mount, pathOf(mount)) : mount.mount)),
    namespaces,
  };
}

/** Whether a runtime could not bind it from the path that stands in the config. */
function isLent(draft: Draft, { kind, mount, ids, destination }: PlannedMount, isMapped: boolean): boolean {
  if (kind !== "bind") return kind === "held";
  const { mode } = draft.request;
  const isOther = mode.kind === "engine" && mode.sources?.has(destination);
  return isMapped || ids !== "host" || isOther || draft.donor(mount.source!) !== undefined;
}

/** Its ids are those that it shows already. */
function bindOf({ mount, kind }: PlannedMount, source: string): NonNullable<RuntimeConfig["mounts"]>[number] {
  const { uidMappings: _u, gidMappings: _g, ...rest } = mount;
  const options = (mount.options ?? []).filter((option) => option !== "idmap" && option !== "ridmap");
  if (kind !== "held") return { ...rest, source, options };
  // those of the file system are its own by now
  const own = options.filter((option) => parseMountOptions([option]).data.length === 0);
  return { ...rest, type: "bind", source, options: ["bind", "rprivate", ...own] };
}

function show(draft: Draft, where: string, fd: string, path: string, kind: number): void {
  draft.host.push({ op: "pin", where, fd, path, kind }, { op: "close", where, fd });
}

/** For the ids of mounts. That of another container is open already. */
function openUserNamespace(draft: Draft, plan: NamespacePlan): void {
  const fd = userNamespaceRegister;
  const joined = plan.joined.get("user");
  if (joined?.donor) return;
  if (joined) {
    const { path, where } = joined;
    draft.host.push({ op: "open-namespace", where, path, kind: namespaceFacts.user.cloneFlag, fd });
    return;
  }
  // one with the ids that the runtime will give to the one that it makes
  const where = plan.where.get("user") ?? "";
  const { uidMappings = [], gidMappings = [] } = draft.linux;
  const [uidMap, gidMap] = [idMapText(uidMappings), idMapText(gidMappings)];
  draft.host.push({ op: "make-user-namespace", where, uidMap, gidMap, fd });
}

const placeRegister = "public place";

function coverPublicPlace(draft: Draft): void {
  const fd = placeRegister;
  const options = ["mode=0711", "source=gantry"];
  draft.host.push({ op: "make-mount", where: "", type: "tmpfs", options, attributes: 0, fd });
  show(draft, "", fd, publicPlace, 0);
}

/** A later call finds a directory where the root was shown, since there are runtimes that begin there (runc). */
export function standInForRoot(draft: Draft): void {
  coverPublicPlace(draft);
  const [root, fd] = [placeRegister, rootRegister];
  draft.host.push(
    { op: "open-place", where: "", root: undefined, path: publicPlace, directory: 1, fd: root },
    { op: "open-place", where: "", root, path: basename(mappedRoot), directory: 1, fd },
    { op: "close", where: "", fd },
    { op: "close", where: "", fd: root },
  );
}

/** A runtime takes a path: that of a mount which shows the namespace of a process that was proved. */
function lendNamespaces(draft: Draft, state: string): RuntimeLinux["namespaces"] {
  return (draft.linux.namespaces ?? []).map((namespace, index) => {
    const donor = namespace.path === undefined ? undefined : draft.donor(namespace.path);
    if (!donor) return namespace;
    const where = `/linux/namespaces/${index}/path`;
    const { type } = namespace;
    const path = join(foreignPlaces.namespaces(state), namespaceFacts[type].procName);
    const fd = type === "user" ? userNamespaceRegister : `${type} namespace`;
    const process = donorRegister(draft, donor, where);
    draft.host.push(
      { op: "open-process-namespace", where, process, pid: donor.pid, kind: cloneFlags([type]), fd },
      { op: "pin", where, fd, path, kind: 1 },
    );
    // mounts get the ids of this one
    if (type !== "user") draft.host.push({ op: "close", where, fd });
    return { type, path };
  });
}
