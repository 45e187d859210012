/**
 * Which namespaces are made and joined, where and in what order.
 *
 * The common case is one clone with everything. Namespaces that are joined, an own user namespace
 * beside joined ones, and time offsets need more steps:
 * - what is joined is joined first, with the privileges that this process has on the host; the user
 *   namespace last of them, or first where there are no such privileges
 * - what is new must belong to the user namespace that the container ends in
 * - a pid or time namespace takes effect for the next process only
 * A cgroup namespace is made when the child is in its cgroups, since they become its root.
 */
import { refuse } from "../../base/decode.ts";
import { checkIdMap, type IdMapping, idMapText, toHostId } from "../../linux/id-map.ts";
import { cloneFlags, type NamespaceKind, namespaces } from "../../linux/namespaces.ts";
import type { RuntimeLinux } from "../../spec/runtime-linux.ts";
import { holds } from "../host-facts.ts";
import { meetings } from "../meetings.ts";
import { donorRegister } from "./donors.ts";
import type { Draft } from "./draft.ts";
import type { Donor } from "./request.ts";
import { checkRootless } from "./rootless.ts";

const capSysAdmin = 21;
const capSetuid = 7;

export interface JoinedNamespace {
  readonly path: string;
  readonly donor: Donor | undefined;
  readonly where: string;
}

export interface NamespacePlan {
  /** New ones. */
  readonly own: ReadonlySet<NamespaceKind>;
  /** Joined ones: host path, or whose it is, and the place in the config. */
  readonly joined: ReadonlyMap<NamespaceKind, JoinedNamespace>;
  /** Where each kind stands in the config. */
  readonly where: ReadonlyMap<NamespaceKind, string>;
  /** Kinds that the container does not share with the host. */
  readonly private: ReadonlySet<NamespaceKind>;
}

export function readNamespaces(draft: Draft): NamespacePlan {
  const own = new Set<NamespaceKind>();
  const joined = new Map<NamespaceKind, JoinedNamespace>();
  const where = new Map<NamespaceKind, string>();
  for (const [index, { type, path }] of (draft.linux.namespaces ?? []).entries()) {
    const pointer = `/linux/namespaces/${index}`;
    if (where.has(type)) refuse(`${pointer}/type`, `malformed spec file: duplicated ns "${type}"`);
    where.set(type, pointer);
    if (path)
      joined.set(type, { path: draft.path(path), donor: draft.donor(path), where: `${pointer}/path` });
    else own.add(type);
  }
  const plan = { own, joined, where, private: new Set([...own, ...joined.keys()]) };
  checkNamespaces(draft, plan);
  return plan;
}

function checkMappings(pointer: string, mappings: readonly IdMapping[], what: "uid" | "gid"): void {
  if (mappings.length === 0) return;
  try {
    checkIdMap(mappings, what);
  } catch (error) {
    refuse(pointer, (error as Error).message);
  }
}

function checkNamespaces(draft: Draft, plan: NamespacePlan): void {
  const { linux, config } = draft;
  const uids = linux.uidMappings ?? [];
  const gids = linux.gidMappings ?? [];
  if (!plan.private.has("mount"))
    refuse(
      "/linux/namespaces",
      "a mount namespace is needed: without one the root file system would be mounted on the host",
    );
  if (plan.own.has("user")) {
    if (uids.length === 0) refuse("/linux/uidMappings", "a new user namespace needs user mappings");
    if (gids.length === 0) refuse("/linux/gidMappings", "a new user namespace needs group mappings");
  } else if (!plan.joined.has("user")) {
    if (uids.length > 0) refuse("/linux/uidMappings", "user mappings without a user namespace");
    if (gids.length > 0) refuse("/linux/gidMappings", "group mappings without a user namespace");
  }
  checkMappings("/linux/uidMappings", uids, "uid");
  checkMappings("/linux/gidMappings", gids, "gid");
  checkRootless(draft, plan.private.has("user"));
  if (config.hostname && !plan.private.has("uts"))
    refuse("/hostname", "unable to set hostname without a private UTS namespace");
  if (config.domainname && !plan.private.has("uts"))
    refuse("/domainname", "unable to set domainname without a private UTS namespace");
  const { timeOffsets } = linux;
  if (timeOffsets && Object.keys(timeOffsets).length > 0 && !plan.own.has("time"))
    refuse("/linux/timeOffsets", "time offsets need a new time namespace");
}

function timeOffsetText(offsets: NonNullable<RuntimeLinux["timeOffsets"]>): string {
  return Object.entries(offsets)
    .map(([clock, offset]) => `${clock} ${offset?.secs ?? 0} ${offset?.nanosecs ?? 0}\n`)
    .join("");
}

/** Opens what is joined, before the clone and by the host side, which sees the host's paths. */
export function openNamespaces(draft: Draft, plan: NamespacePlan): void {
  for (const [kind, { path, donor, where }] of plan.joined) {
    const common = { where, kind: namespaces[kind].cloneFlag, fd: `${kind} namespace` };
    if (donor) {
      const process = donorRegister(draft, donor, where);
      draft.host.push({ op: "open-process-namespace", ...common, process, pid: donor.pid });
    } else draft.host.push({ op: "open-namespace", ...common, path });
  }
}

function writeIdMaps(draft: Draft): void {
  const { uidMappings = [], gidMappings = [] } = draft.linux;
  const privileged = holds(draft.facts, capSetuid);
  // an unprivileged process may map its own group only when setgroups is denied (user_namespaces(7));
  // the helpers, which read /etc/subuid, are needed for anything else
  const alone = (mappings: readonly IdMapping[], id: number) =>
    mappings.length === 1 && mappings[0]!.size === 1 && mappings[0]!.hostID === id;
  const helper = (name: string, mappings: readonly IdMapping[], id: number) => {
    if (privileged || alone(mappings, id)) return "";
    const pointer = `/linux/${name === "newuidmap" ? "uid" : "gid"}Mappings`;
    return (
      draft.facts.programPath(name) ??
      refuse(pointer, `more than the own id needs ${name}, which is not installed`)
    );
  };
  draft.host.push(
    {
      op: "write-id-map",
      where: "/linux/uidMappings",
      kind: 0,
      map: idMapText(uidMappings),
      setgroups: 0,
      helper: helper("newuidmap", uidMappings, draft.facts.uid),
    },
    {
      op: "write-id-map",
      where: "/linux/gidMappings",
      kind: 1,
      map: idMapText(gidMappings),
      setgroups: !privileged && alone(gidMappings, draft.facts.gid) ? 1 : 0,
      helper: helper("newgidmap", gidMappings, draft.facts.gid),
    },
  );
}

function becomeRoot(draft: Draft, where: string): void {
  draft.child.push({ op: "become-root", where });
}

/** Joins in the order that the privileges of this process allow. */
function joinNamespaces(draft: Draft, plan: NamespacePlan): void {
  const kinds: NamespaceKind[] = [...plan.joined.keys()].filter((kind) => kind !== "user");
  if (plan.joined.has("user")) holds(draft.facts, capSysAdmin) ? kinds.push("user") : kinds.unshift("user");
  for (const kind of kinds) {
    const where = plan.joined.get(kind)!.where;
    draft.child.push({
      op: "join-namespace",
      where,
      fd: `${kind} namespace`,
      kind: namespaces[kind].cloneFlag,
    });
    draft.child.push({ op: "close", where, fd: `${kind} namespace` });
    if (kind === "user") becomeRoot(draft, where);
  }
}

/** What is made by the clone itself; the rest follows in the child. */
export function clonedNamespaces(draft: Draft, plan: NamespacePlan): ReadonlySet<NamespaceKind> {
  if (plan.joined.has("user") || (plan.own.has("user") && plan.joined.size > 0)) return new Set();
  const cloned = new Set(plan.own);
  cloned.delete("cgroup");
  // clone3 enters a time namespace at once, and then its offsets are frozen
  if (draft.linux.timeOffsets && cloned.delete("time")) cloned.delete("pid");
  if (plan.joined.has("pid") || plan.joined.has("time")) cloned.delete("pid");
  return cloned;
}

/**
 * Everything between clone and the first mount, on both sides. `whenMapped` is called
 * for the host side when the ids of a user namespace stand and the child does not go on yet.
 */
export function enterNamespaces(
  draft: Draft,
  plan: NamespacePlan,
  cloned: ReadonlySet<NamespaceKind>,
  whenMapped: () => void,
): void {
  const where = plan.where.get("user") ?? "";
  joinNamespaces(draft, plan);

  if (plan.own.has("user")) {
    if (!cloned.has("user")) {
      draft.child.push({ op: "unshare", where, namespaces: namespaces.user.cloneFlag });
      draft.child.push({ op: "tell-host", where, step: meetings.unshared });
      draft.host.push({ op: "await-child", where, step: meetings.unshared });
    }
    writeIdMaps(draft);
    whenMapped();
    draft.meet("identity");
    if (toHostId(draft.linux.uidMappings ?? [], 0) !== undefined) becomeRoot(draft, where);
  }

  const later = new Set(plan.own);
  for (const kind of [...cloned, "cgroup", "user"] as const) later.delete(kind);
  const ownPid = later.delete("pid");
  if (later.size > 0)
    draft.child.push({ op: "unshare", where: "/linux/namespaces", namespaces: cloneFlags(later) });
  if (later.has("time") && draft.linux.timeOffsets)
    draft.child.push({
      op: "set-time-offset",
      where: "/linux/timeOffsets",
      offsets: timeOffsetText(draft.linux.timeOffsets),
    });
  if (ownPid || later.has("time") || plan.joined.has("pid") || plan.joined.has("time")) {
    draft.child.push({
      op: "fork-again",
      where: plan.where.get("pid") ?? plan.where.get("time") ?? "",
      namespaces: ownPid ? namespaces.pid.cloneFlag : 0,
    });
    draft.host.push({ op: "adopt-child", where: "" });
  }
  draft.child.push({ op: "new-session", where: "" });
}

/** Makes the cgroup namespace, once; its root is where the child is then. */
export function unshareCgroup(draft: Draft, plan: NamespacePlan): void {
  if (!plan.own.has("cgroup") || !draft.once("cgroup namespace")) return;
  draft.awaitCgroups();
  draft.child.push({
    op: "unshare",
    where: plan.where.get("cgroup")!,
    namespaces: namespaces.cgroup.cloneFlag,
  });
}

/** Host name, domain name and the loopback interface of new namespaces. */
export function nameNamespaces(draft: Draft, plan: NamespacePlan): void {
  const { hostname, domainname } = draft.config;
  if (hostname)
    draft.child.push({ op: "set-hostname", where: "/hostname", phrase: "sethostname", name: hostname });
  if (domainname)
    draft.child.push({
      op: "set-domainname",
      where: "/domainname",
      phrase: "setdomainname",
      name: domainname,
    });
  if (plan.own.has("network"))
    draft.child.push({ op: "raise-link", where: plan.where.get("network")!, name: "lo" });
}
