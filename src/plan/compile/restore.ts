/**
 * The plan of a restore. criu makes the processes with their namespaces, mounts and memory; around it is what a start
 * has too: cgroups and limits, hooks, records.
 *
 *     host side                                    child
 *     root: a detached copy; its mount points
 *     make v2 cgroup
 *     clone ─────────────────────────────────────► a mount namespace in which the root is mounted
 *     make v1 cgroups, write limits, move it       become criu
 *     request ───────────────────────────────────► new process, namespaces
 *     the new process is the child ◄────────────── setup-namespaces
 *     record, prestart, createRuntime ───────────► mounts, memory
 *     end of criu ◄─────────────────────────────── answer
 *     record, pid file
 */
import { join } from "node:path";
import { refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { mountFlag } from "../../linux/mount-options.ts";
import { cloneFlags } from "../../linux/namespaces.ts";
import type { Plan } from "../plan.ts";
import { controllersToEnable, limitCgroups } from "./cgroup-limits.ts";
import {
  awaitUnit,
  type ContainerCgroup,
  cgroupsOf,
  foreignCgroups,
  makeControllerCgroups,
  makeUnifiedCgroup,
} from "./cgroups.ts";
import { isBind, mountPointOf } from "./checkpoint.ts";
import {
  askCriu,
  becomeCriu,
  type CriuNamespaces,
  type CriuSetting,
  continueCriu,
  externalNames,
} from "./criu.ts";
import { type CriuFlags, type CriuRequest, criuFds } from "./criu-request.ts";
import { makesDevices } from "./devices.ts";
import { Draft, rootRegister } from "./draft.ts";
import { runHooks } from "./hooks.ts";
import { pidRecord, undoChild } from "./life.ts";
import { openNamespaces, readNamespaces } from "./namespaces.ts";
import { recordOci, recordQuick } from "./oci-records.ts";
import type { ContainerRequest, OciMode } from "./request.ts";
import { rootOf } from "./root.ts";
import { attendChild } from "./streams.ts";
import { connectConsole, forgetConsole, masterRegister, sendTerminal } from "./terminal.ts";

export interface RestoreRequest extends ContainerRequest {
  readonly mode: OciMode;
  readonly criu: CriuSetting;
  readonly flags: CriuFlags;
  /** What was on 0, 1 and 2 of the container when it was made, as /proc/PID/fd names it. */
  readonly descriptors: readonly string[];
  /** Whether a path of the host is a directory: a bind's source, a cgroup. */
  readonly isDirectory: (path: string) => boolean;
}

/** Name of criu's log in its work directory. */
export const restoreLog = "restore.log";

const stateRegister = "state directory";
const placeRegister = "place";
/** Mount point of the root below the state directory, in criu's mount namespace only. */
const rootPlace = "root";
const where = "/root/path";

function checkRequest(draft: Draft): void {
  const root = rootOf(draft);
  if (root.kind !== "directory") refuse(where, "a restore needs a root directory");
  if (draft.linux.intelRdt)
    throw new GantryError(
      "unimplemented",
      "/linux/intelRdt: a restored container cannot be put into a group",
      {
        detail: { pointer: "/linux/intelRdt" },
      },
    );
  if (draft.facts.uid !== 0)
    throw new GantryError("permission-denied", "restore container: criu needs the privileges of root");
}

/** A copy of the root's mount that only criu will see attached, with a place for every mount. */
function openRoot(draft: Draft, request: RestoreRequest): void {
  const root = rootOf(draft);
  const path = root.kind === "directory" ? root.path : "";
  const phrase = "unable to open root file system";
  draft.host.push(
    { op: "clone-tree", where, phrase, path, recursive: 1, fd: rootRegister },
    {
      op: "set-mount-attributes",
      where,
      fd: rootRegister,
      set: 0,
      clear: 0,
      propagation: mountFlag.private,
      recursive: 1,
      userns: undefined,
    },
  );
  makeMountPoints(draft, request);
}

/** What lies in another mount of the container comes with that one's content. */
function makeMountPoints(draft: Draft, request: RestoreRequest): void {
  const mounted: string[] = [];
  for (const [index, mount] of (draft.config.mounts ?? []).entries()) {
    const path = mountPointOf(mount.destination);
    if (mounted.some((above) => path === above || path.startsWith(`${above}/`))) continue;
    mounted.push(path);
    const directory = !isBind(mount) || request.isDirectory(draft.path(mount.source ?? "")) ? 1 : 0;
    const at = `/mounts/${index}/destination`;
    draft.host.push(
      { op: "open-place", where: at, root: rootRegister, path, directory, fd: placeRegister },
      { op: "close", where: at, fd: placeRegister },
    );
  }
}

/** Sources on the host of the mounts that criu cannot make: more than were dumped do no harm. */
function externalMounts(draft: Draft): ReadonlyMap<string, string> {
  const external = new Map<string, string>();
  const { devices = [], namespaces = [] } = draft.linux;
  // what is masked was dumped under this name, wherever it is
  external.set("/dev/null", "/dev/null");
  if (makesDevices(draft) && namespaces.some(({ type }) => type === "user")) {
    for (const name of ["null", "zero", "full", "random", "urandom", "tty"])
      external.set(`/dev/${name}`, `/dev/${name}`);
    for (const { path } of devices) external.set(path, path);
  }
  for (const mount of draft.config.mounts ?? [])
    if (isBind(mount)) external.set(mountPointOf(mount.destination), draft.path(mount.source ?? ""));
  return external;
}

/** Pipes that led out of the container now lead to the caller's. */
function inheritedDescriptors(
  { descriptors }: RestoreRequest,
  { network, pids }: CriuNamespaces,
): NonNullable<CriuRequest["inherited"]> {
  let fd: number = criuFds.further;
  return [
    ...descriptors.flatMap((name, index) => (name.startsWith("pipe:") ? [{ name, fd: index }] : [])),
    ...(network === undefined ? [] : [{ name: externalNames.network, fd: fd++ }]),
    ...(pids === undefined ? [] : [{ name: externalNames.pids, fd: fd++ }]),
  ];
}

/** Where tasks go that were in the dumped container's cgroup, which may have had another name. */
function cgroupRoots(
  cgroups: readonly ContainerCgroup[],
  mode: CriuFlags["cgroupMode"],
): CriuRequest["cgroups"] {
  if (mode === "ignore") return [];
  const v1 = cgroups.filter(({ version }) => version === 1);
  if (v1.length === 0) return cgroups.map(({ path }) => ({ path }));
  return v1.flatMap(({ controllers, path }) => controllers.map((controller) => ({ controller, path })));
}

function startCriu(
  draft: Draft,
  request: RestoreRequest,
  cgroup: string | undefined,
  joined: CriuNamespaces,
): void {
  const namespaces = cloneFlags(new Set(["mount"]));
  draft.host.push({ op: "clone", where: "", phrase: "start criu", namespaces, cgroup });
  draft.child.push(
    { op: "set-propagation", where: "", flags: mountFlag.slave | mountFlag.recursive },
    // here: a descriptor of the host's mount namespace is no place to attach to
    {
      op: "open-place",
      where: "",
      root: undefined,
      path: request.mode.state,
      directory: 1,
      fd: stateRegister,
    },
    {
      op: "attach-mount",
      where,
      phrase: "unable to attach the root file system",
      mount: rootRegister,
      root: stateRegister,
      path: rootPlace,
      options: 0,
    },
  );
  forgetConsole(draft.child, request.mode);
  becomeCriu(draft.child, request.criu, joined);
}

/**
 * `strict` wants cgroups that nobody had before. The container's is made here and not by criu, which would take it for
 * somebody else's: so it is asked for here too, and criu then restores what a cgroup has besides.
 */
function strictCgroups(request: RestoreRequest, cgroups: readonly ContainerCgroup[]): CriuFlags {
  const { flags, isDirectory } = request;
  if (flags.cgroupMode !== "strict") return flags;
  const there = cgroups.map(({ hierarchy, path }) => join(hierarchy.mountPoint, path)).find(isDirectory);
  if (there !== undefined)
    throw new GantryError(
      "failed-precondition",
      `--manage-cgroups-mode strict: the cgroup ${there} exists already`,
      {
        detail: { path: there },
      },
    );
  return { ...flags, cgroupMode: "full" };
}

/** Compiles a restore. Throws invalid-argument with the JSON pointer of what is wrong. */
export function compileRestore(request: RestoreRequest): Plan {
  const draft = new Draft(request);
  const { mode } = request;
  checkRequest(draft);
  const namespaces = readNamespaces(draft);
  for (const [kind, { where: pointer }] of namespaces.joined)
    if (kind !== "network" && kind !== "pid")
      draft.warn(`the restored container gets a ${kind} namespace of its own`, pointer);
  const cgroups = cgroupsOf(draft);
  const flags = strictCgroups(request, cgroups);
  const register = (kind: "network" | "pid") =>
    namespaces.joined.has(kind) ? `${kind} namespace` : undefined;
  const joined = { network: register("network"), pids: register("pid") };

  openNamespaces(draft, namespaces);
  openRoot(draft, request);
  connectConsole(draft.host, mode);
  const cgroup = makeUnifiedCgroup(draft, cgroups, controllersToEnable(draft, cgroups));
  startCriu(draft, request, cgroup, joined);
  awaitUnit(draft, cgroups, controllersToEnable(draft, cgroups));
  makeControllerCgroups(draft, cgroups);
  if (foreignCgroups(draft)?.kind !== "none") limitCgroups(draft, cgroups);
  for (const { version, register: dir } of cgroups)
    if (version === 1) draft.host.push({ op: "move-child", where: "/linux/cgroupsPath", dir });

  const criu: CriuRequest = {
    kind: "restore",
    flags,
    log: restoreLog,
    root: join(mode.state, rootPlace),
    mounts: externalMounts(draft),
    inherited: inheritedDescriptors(request, joined),
    cgroups: cgroupRoots(cgroups, flags.cgroupMode),
  };
  // of criu at first: whoever kills us leaves something by which `delete` finds the cgroups
  recordOci(draft, mode, cgroups, true);
  askCriu(draft.host, criu, "setup-namespaces");
  draft.host.push({ op: "take-restored", where: "", phrase: "restore container" });
  recordOci(draft, mode, cgroups, true);
  runHooks(draft, draft.host, "prestart", "creating");
  runHooks(draft, draft.host, "createRuntime", "creating");
  if (draft.config.process?.terminal) {
    continueCriu(draft.host, criu, "orphan-pts-master");
    draft.host.push({ op: "receive-console", where: "/process/terminal", fd: masterRegister });
    sendTerminal(draft.host, mode);
  }
  continueCriu(draft.host, criu);
  recordOci(draft, mode, cgroups, false);
  recordQuick(draft, mode, cgroups);
  if (mode.pidFile !== undefined) draft.host.push(pidRecord(mode.pidFile));
  attendChild(draft.host, mode);
  undoChild(draft, mode);
  return draft.finish();
}
