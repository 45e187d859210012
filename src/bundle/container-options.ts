/**
 * What can be asked for when a container is created, in Gantry's own terms: plain data that survives
 * JSON. What is left out has Docker's default.
 */
import type { IdMapping } from "../spec/runtime-mount.ts";

export type MountPropagation = "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave";

/** A path of the host, shown in the container. */
export interface BindMountOption {
  readonly kind: "bind";
  /** Absolute host path. */
  readonly source: string;
  readonly target: string;
  readonly readOnly?: boolean | undefined;
  /** "rprivate" unless told. */
  readonly propagation?: MountPropagation | undefined;
  /** Without the mounts below the source. */
  readonly nonRecursive?: boolean | undefined;
  /** How far `readOnly` reaches: to the mounts below the source, too, unless told. */
  readonly readOnlyDepth?: "recursive" | "top" | undefined;
  /** Make the source a directory if it is missing; this is the engine's work, not the bundle's. */
  readonly createSource?: boolean | undefined;
}

export interface TmpfsMountOption {
  readonly kind: "tmpfs";
  readonly target: string;
  /** As for mount(8): "size=64m", "mode=1770", "ro", "exec". */
  readonly options?: readonly string[] | undefined;
}

/** A file system that the driver of a volume mounts in place of a directory: docker's options type, device and o. */
export interface VolumeDevice {
  readonly type: string;
  readonly device: string;
  readonly options: readonly string[];
}

export interface VolumeMountOption {
  readonly kind: "volume";
  /** Name of the volume; a new one without a name if left out. */
  readonly source?: string | undefined;
  readonly target: string;
  readonly readOnly?: boolean | undefined;
  /** Without what the image has there. */
  readonly noCopy?: boolean | undefined;
  /** A path in the volume, which must be there. */
  readonly subpath?: string | undefined;
  /** Of a volume that is made for this mount. */
  readonly driver?: string | undefined;
  readonly driverOptions?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Nobody has named it: it goes with its container. Filled in by the engine, as are the next two. */
  readonly anonymous?: boolean | undefined;
  /** Host path of its content. */
  readonly path?: string | undefined;
  readonly mounted?: VolumeDevice | undefined;
}

/** The root file system of an image, which takes no writes. */
export interface ImageMountOption {
  readonly kind: "image";
  readonly source: string;
  readonly target: string;
  readonly subpath?: string | undefined;
  /** Snapshot that shows it; filled in by the engine. */
  readonly view?: string | undefined;
}

export type MountOption = BindMountOption | TmpfsMountOption | VolumeMountOption | ImageMountOption;

export interface UlimitOption {
  /** "nofile" */
  readonly name: string;
  /** -1 is unlimited. */
  readonly soft: number;
  readonly hard: number;
}

/** Weight and limits of one block device; what is left out or 0 is not limited. */
export interface BlockDeviceOption {
  /** "/dev/sda" */
  readonly path: string;
  readonly weight?: number | undefined;
  readonly readBps?: number | undefined;
  readonly writeBps?: number | undefined;
  readonly readIops?: number | undefined;
  readonly writeIops?: number | undefined;
}

/** A device of the host. */
export interface DeviceOption {
  /** "/dev/fuse", or a directory, which stands for all devices in it. */
  readonly hostPath: string;
  /** Where the container has it; the same path if left out. */
  readonly containerPath?: string | undefined;
  /** Of "rwm"; all three if left out. */
  readonly permissions?: string | undefined;
}

/** What `update` can change while the container lives. */
export interface ResourceOptions {
  readonly memoryBytes?: number | undefined;
  /** Memory and swap together; -1 is no limit; twice the memory if left out. */
  readonly memorySwapBytes?: number | undefined;
  readonly memoryReservationBytes?: number | undefined;
  /** 0 to 100; -1 leaves it to the kernel. cgroup v2 has no such setting. */
  readonly memorySwappiness?: number | undefined;
  /** Processes wait instead of being killed for want of memory. cgroup v2 has no such setting. */
  readonly oomKillDisable?: boolean | undefined;
  /** 1.5 is one and a half; stands for a quota of that much of a period of 100 ms. */
  readonly cpus?: number | undefined;
  readonly cpuShares?: number | undefined;
  readonly cpuPeriodUs?: number | undefined;
  /** Of each period; -1 is no limit. */
  readonly cpuQuotaUs?: number | undefined;
  readonly cpuRealtimePeriodUs?: number | undefined;
  readonly cpuRealtimeRuntimeUs?: number | undefined;
  /** "0-3,7" */
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  /** 0 and -1 are no limit. */
  readonly pidsLimit?: number | undefined;
  /** 10 to 1000. */
  readonly blkioWeight?: number | undefined;
  readonly blockDevices?: readonly BlockDeviceOption[] | undefined;
}

/** The namespace of another container, by its name or id. */
export type ContainerReference = `container:${string}`;

export interface ContainerOptions extends ResourceOptions {
  /** Program and arguments; the image's `Cmd` if left out. */
  readonly command?: readonly string[] | undefined;
  /** Stands in for the image's, whose `Cmd` then counts no more; an empty list or [""] takes it away. */
  readonly entrypoint?: readonly string[] | undefined;
  /** "NAME=value" sets, "NAME" takes a variable of the image away. */
  readonly env?: readonly string[] | undefined;
  readonly workingDirectory?: string | undefined;
  /** "name", "uid", "name:group", "uid:gid"; the image's if left out. */
  readonly user?: string | undefined;
  /** Further groups, by name or number. */
  readonly groupAdd?: readonly string[] | undefined;
  /** The first twelve digits of the id if left out. */
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  readonly mounts?: readonly MountOption[] | undefined;
  /** Containers whose volumes and bind mounts this one gets too: "NAME", "NAME:ro". */
  readonly volumesFrom?: readonly string[] | undefined;
  /** The root file system cannot be written. */
  readonly readOnly?: boolean | undefined;

  /** -1000 to 1000: the higher, the sooner the OOM killer takes it. */
  readonly oomScoreAdj?: number | undefined;
  readonly devices?: readonly DeviceOption[] | undefined;
  /** "c 10:229 rwm", "b *:* r": what may be used beside the devices that are there. */
  readonly deviceCgroupRules?: readonly string[] | undefined;
  /** By their CDI names: "vendor.com/class=name". */
  readonly cdiDevices?: readonly string[] | undefined;
  /** Of the GPUs that the CDI specs know: all, the first so many, or some by their names. */
  readonly gpus?: "all" | number | readonly string[] | undefined;
  /** Cgroup below which that of the container is made, "/gantry" unless told. */
  readonly cgroupParent?: string | undefined;
  /** Name servers in place of the host's. */
  readonly dns?: readonly string[] | undefined;
  /** Domains in place of the host's; "." is none. */
  readonly dnsSearch?: readonly string[] | undefined;
  readonly dnsOptions?: readonly string[] | undefined;
  /** Further lines of /etc/hosts: "name:address". */
  readonly extraHosts?: readonly string[] | undefined;
  /** Of the runtime config. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** "80/tcp": what is said of the container, nothing is published. */
  readonly exposedPorts?: readonly string[] | undefined;
  readonly shmSizeBytes?: number | undefined;
  readonly ulimits?: readonly UlimitOption[] | undefined;

  /** "none" (a network namespace with nothing but lo) unless told; "pod" only in a pod that shares one. */
  readonly network?: "none" | "host" | "pod" | ContainerReference | undefined;
  readonly pid?: "private" | "host" | "pod" | ContainerReference | undefined;
  /** "shareable": others may join it. "none": one of its own, and no /dev/shm. */
  readonly ipc?: "private" | "shareable" | "none" | "host" | "pod" | ContainerReference | undefined;
  readonly uts?: "private" | "host" | "pod" | ContainerReference | undefined;
  readonly cgroupNamespace?: "private" | "host" | undefined;
  /** "host" (no namespace of its own) unless told. */
  readonly userNamespace?:
    | "host"
    | "pod"
    | ContainerReference
    | { readonly uidMappings: readonly IdMapping[]; readonly gidMappings: readonly IdMapping[] }
    | undefined;

  /** With or without "CAP_", any case; "ALL". */
  readonly capAdd?: readonly string[] | undefined;
  readonly capDrop?: readonly string[] | undefined;
  readonly privileged?: boolean | undefined;
  /**
   * As Docker's API takes them: "seccomp=unconfined", "seccomp={…profile as JSON…}",
   * "no-new-privileges[=true|false]", "apparmor=…", "label=…", "systempaths=unconfined".
   */
  readonly securityOpt?: readonly string[] | undefined;
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** A terminal for the program, in place of separate streams. */
  readonly terminal?: boolean | undefined;
  /** A tiny process 1 that reaps orphans and passes signals on. */
  readonly init?: boolean | undefined;
}
