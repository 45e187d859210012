/** The plan of a checkpoint: criu alone, which does all of it; what fails it undoes itself. */
import type { MountEntry } from "../../linux/mountinfo.ts";
import { namespaces } from "../../linux/namespaces.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import { type Plan, type Step, syncPoints } from "../plan.ts";
import { askCriu, becomeCriu, type CriuSetting, continueCriu, externalNames } from "./criu.ts";
import type { CriuFlags, CriuRequest } from "./criu-request.ts";

export interface CheckpointRequest {
  readonly criu: CriuSetting;
  readonly flags: CriuFlags;
  readonly config: RuntimeConfig;
  readonly rootfs: string;
  readonly pid: number;
  readonly preDump: boolean;
  readonly leaveRunning: boolean;
  /** Directory with images of an earlier pre-dump, relative to the images. */
  readonly parent?: string | undefined;
  /** The cgroup whose freezer is used. */
  readonly freezeCgroup?: string | undefined;
  /** The mounts of the container, as its process sees them. */
  readonly mounts: readonly MountEntry[];
  /** Inode of the file in /proc/PID/ns. */
  readonly namespaceInode: (kind: "net" | "pid") => number;
  /** Names of the network devices that the container sees. */
  readonly networkDevices: readonly string[];
  /** Whether the controller is told when pages can be fetched: the sync point `ready`. */
  readonly tellReady: boolean;
}

/** Name of criu's log in its work directory. */
export const dumpLog = "dump.log";

/** Mounts that criu cannot make again by itself: binds of the config, and the null device over what is masked. */
function externalMounts({ mounts, config }: CheckpointRequest): ReadonlyMap<string, string> {
  const binds = new Set(bindDestinations(config));
  const devices = new Set((config.linux?.devices ?? []).map(({ path }) => path));
  const external = new Map<string, string>();
  for (const { mountPoint, root, fsType } of mounts) {
    if (binds.has(mountPoint)) external.set(mountPoint, mountPoint);
    else if (fsType === "devtmpfs" && root === "/null" && !mountPoint.startsWith("/dev/"))
      external.set(mountPoint, "/dev/null");
    // in a user namespace device nodes are binds of the host's
    else if (mountPoint.startsWith("/dev/") && (fsType === "devtmpfs" || devices.has(mountPoint)))
      external.set(mountPoint, mountPoint);
  }
  return external;
}

/** Where bind mounts of the config lie, in the form that mountinfo has. */
export function bindDestinations(config: RuntimeConfig): readonly string[] {
  return (config.mounts ?? []).filter(isBind).map(({ destination }) => mountPointOf(destination));
}

export function isBind({ type, options = [] }: NonNullable<RuntimeConfig["mounts"]>[number]): boolean {
  return type === "bind" || type === "rbind" || options.includes("bind") || options.includes("rbind");
}

export function mountPointOf(destination: string): string {
  const parts = destination.split("/").filter((part) => part !== "" && part !== ".");
  return `/${parts.join("/")}`;
}

/** Namespaces that were joined belong to somebody else, and are not dumped. */
function externalNamespaces({ config, namespaceInode }: CheckpointRequest): readonly string[] {
  const joined = new Set((config.linux?.namespaces ?? []).filter(({ path }) => path).map(({ type }) => type));
  return [
    ...(joined.has("network") ? [`net[${namespaceInode("net")}]:${externalNames.network}`] : []),
    ...(joined.has("pid") ? [`pid[${namespaceInode("pid")}]:${externalNames.pids}`] : []),
  ];
}

/**
 * A network that hooks have set up is theirs to set up again when the container is restored: criu can make no device whose
 * other end is outside. One of loopback alone it makes again with all its connections.
 */
function networkOfHooks({ config, networkDevices }: CheckpointRequest): boolean {
  const { prestart = [], createRuntime = [] } = config.hooks ?? {};
  const own = (config.linux?.namespaces ?? []).some(({ type, path }) => type === "network" && !path);
  return own && prestart.length + createRuntime.length > 0 && networkDevices.some((name) => name !== "lo");
}

export function compileCheckpoint(request: CheckpointRequest): Plan {
  const { rootfs, pid, preDump, leaveRunning, parent, freezeCgroup, tellReady } = request;
  const empty = networkOfHooks(request) ? namespaces.network.cloneFlag : 0;
  const flags = { ...request.flags, emptyNamespaces: request.flags.emptyNamespaces | empty };
  const criu: CriuRequest = {
    kind: preDump ? "pre-dump" : "dump",
    flags,
    log: dumpLog,
    pid,
    root: rootfs,
    leaveRunning,
    parent,
    freezeCgroup,
    mounts: preDump ? new Map() : externalMounts(request),
    external: externalNamespaces(request),
  };
  const host: Step[] = [{ op: "clone", where: "", namespaces: 0, cgroup: undefined }];
  const child: Step[] = [];
  becomeCriu(child, request.criu);
  if (tellReady) {
    askCriu(host, criu, "status-ready");
    host.push({ op: "sync", where: "", point: syncPoints.ready });
    continueCriu(host, criu);
  } else askCriu(host, criu);
  return { host, child, cleanup: [{ op: "kill-child", where: "" }] };
}
