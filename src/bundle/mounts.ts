/** The mounts of a container: Docker's default ones, its files in /etc, and what the user asked for. */
import { posix } from "node:path";
import { bug, GantryError } from "../base/error.ts";
import type { RuntimeMount } from "../spec/runtime-mount.ts";
import { devMount, mqueueMount, ptsMount, quiet, shmMount } from "../spec/usual-mounts.ts";
import type {
  BindMountOption,
  ContainerOptions,
  MountOption,
  VolumeMountOption,
} from "./container-options.ts";
import type { SharedNamespaces } from "./shared-namespaces.ts";

/** Docker's --shm-size. */
const defaultShmBytes = 64 * 1024 * 1024;

/** Host paths of files that the engine writes for the container. */
export interface ContainerFiles {
  readonly hosts?: string | undefined;
  readonly hostname?: string | undefined;
  readonly resolvConf?: string | undefined;
}

/** Whether its ids are not the host's: those of a user namespace of its own, or of one that it joins. */
function hasOwnUsers({ userNamespace }: ContainerOptions, shared?: SharedNamespaces): boolean {
  return typeof userNamespace === "object" || shared?.users !== undefined;
}

function defaultMounts(options: ContainerOptions, shared?: SharedNamespaces): readonly RuntimeMount[] {
  const readOnly = options.privileged ? [] : ["ro"];
  const shmBytes = options.shmSizeBytes ?? defaultShmBytes;
  const hostIpc = options.ipc === "host";
  const shm = hostIpc ? "/dev/shm" : shared?.shm;
  const ownUsers = hasOwnUsers(options, shared);
  return [
    { destination: "/proc", type: "proc", source: "proc", options: quiet },
    devMount,
    ptsMount(ptsGroup(options, shared)),
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, ...readOnly] },
    // mqueue shows the IPC namespace that it is mounted in; a user namespace may not mount that of the host
    hostIpc && ownUsers ? ofOthers("/dev/mqueue", "/dev/mqueue") : mqueueMount,
    ...(options.ipc === "none" ? [] : [shm === undefined ? shmMount(shmBytes) : ofOthers("/dev/shm", shm)]),
  ];
}

/** What goes with the IPC namespace of the host, of a pod or of another container. */
function ofOthers(destination: string, source: string): RuntimeMount {
  return { destination, type: "bind", source, options: ["rbind", ...quiet, "rprivate"] };
}

/** Comes late: the container waits for its cgroups before it can mount them, and does all else meanwhile. */
function cgroupMount({ privileged }: ContainerOptions): RuntimeMount {
  const options = [...(privileged ? [] : ["ro"]), ...quiet];
  return { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options };
}

/** Group 5 is tty; it must exist in the container's user namespace. */
function ptsGroup({ userNamespace }: ContainerOptions, shared?: SharedNamespaces): readonly string[] {
  const users = typeof userNamespace === "object" ? userNamespace : shared?.users;
  if (!users) return ["gid=5"];
  const mapped = users.gidMappings.some(
    ({ containerID, size }) => containerID <= 5 && 5 < containerID + size,
  );
  return mapped ? ["gid=5"] : [];
}

function fileMounts(files: ContainerFiles, options: ContainerOptions): readonly RuntimeMount[] {
  const places: readonly (readonly [string, string | undefined])[] = [
    ["/etc/resolv.conf", files.resolvConf],
    ["/etc/hostname", files.hostname],
    ["/etc/hosts", files.hosts],
  ];
  const readOnly = options.readOnly ? ["ro"] : [];
  return places.flatMap(([destination, source]) =>
    source === undefined
      ? []
      : [{ destination, type: "bind", source, options: ["rbind", "rprivate", ...readOnly] }],
  );
}

/** Docker's defaults for --tmpfs. */
const tmpfsDefaults = ["noexec", "nosuid", "nodev"];

function tmpfsOptions(given: readonly string[]): readonly string[] {
  const opposite: Readonly<Record<string, string>> = { exec: "noexec", suid: "nosuid", dev: "nodev" };
  const lifted = new Set(given.map((option) => opposite[option]).filter((option) => option !== undefined));
  return [...tmpfsDefaults.filter((option) => !lifted.has(option)), ...given];
}

function destinationOf({ target: given }: MountOption): string {
  const target = posix.normalize(given);
  if (!target.startsWith("/") || target === "/")
    throw new GantryError(
      "invalid-argument",
      `invalid mount: target ${JSON.stringify(given)} must be an absolute path below /`,
    );
  return target.replace(/\/$/, "");
}

function userMount(option: MountOption, ownUsers: boolean): RuntimeMount {
  const destination = destinationOf(option);
  switch (option.kind) {
    case "tmpfs":
      return { destination, type: "tmpfs", source: "tmpfs", options: tmpfsOptions(option.options ?? []) };
    case "bind":
      return bindMount(option, destination);
    case "volume":
      return volumeMount(option, destination, ownUsers);
    case "image":
      // what is shown there, the engine tells the compiler of the plan
      return { destination, type: "bind", source: `/${option.view}`, options: ["bind", "ro", "rprivate"] };
    default:
      throw option satisfies never;
  }
}

function bindMount(option: BindMountOption, destination: string): RuntimeMount {
  const { source, readOnly, readOnlyDepth, nonRecursive, propagation = "rprivate" } = option;
  if (!source.startsWith("/"))
    throw new GantryError(
      "invalid-argument",
      `invalid mount: source ${JSON.stringify(source)} must be an absolute path`,
    );
  // as Docker since 25: read-only counts for the mounts below too
  const deep = !nonRecursive && readOnlyDepth !== "top";
  const readOnlyOptions = readOnly ? (deep ? ["ro", "rro"] : ["ro"]) : [];
  return {
    destination,
    type: "bind",
    source,
    options: [nonRecursive ? "bind" : "rbind", ...readOnlyOptions, propagation],
  };
}

/** Its ids are those of the container, whatever user namespace that has. */
function volumeMount(option: VolumeMountOption, destination: string, ownUsers: boolean): RuntimeMount {
  const { path, mounted, readOnly } = option;
  const readOnlyOptions = readOnly ? ["ro"] : [];
  if (mounted && mounted.type !== "bind")
    return {
      destination,
      type: mounted.type,
      source: mounted.device,
      options: [...mounted.options, ...readOnlyOptions],
    };
  return {
    destination,
    type: "bind",
    source: mounted?.device ?? path ?? bug(`a volume at ${destination} that nobody has made`),
    options: [
      ...(mounted ? ["rbind", ...mounted.options] : ["bind"]),
      ...readOnlyOptions,
      "rprivate",
      ...(ownUsers ? [mounted ? "ridmap" : "idmap"] : []),
    ],
  };
}

function depth(path: string): number {
  return path.split("/").length;
}

/** What the user mounts stands in for a default mount of the same place, and for all below it. */
export function containerMounts(
  options: ContainerOptions,
  files: ContainerFiles,
  shared?: SharedNamespaces,
): readonly RuntimeMount[] {
  const ownUsers = hasOwnUsers(options, shared);
  const own = (options.mounts ?? []).map((mount) => userMount(mount, ownUsers));
  const places = new Map<string, RuntimeMount>();
  for (const mount of own) {
    if (places.has(mount.destination))
      throw new GantryError("invalid-argument", `Duplicate mount point: ${mount.destination}`);
    places.set(mount.destination, mount);
  }
  const covered = ({ destination }: RuntimeMount) =>
    places.has(destination) || (places.has("/dev") && destination.startsWith("/dev/"));
  const defaults = defaultMounts(options, shared).filter((mount) => !covered(mount));
  const later = [...fileMounts(files, options), cgroupMount(options)].filter((mount) => !covered(mount));
  return [...defaults, ...[...later, ...own].sort((a, b) => depth(a.destination) - depth(b.destination))];
}
