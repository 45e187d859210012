/**
 * Image + options -> the runtime config of a container, with Docker's defaults. Pure: what must be read
 * from a machine or an image comes in.
 */
import { posix } from "node:path";
import { GantryError } from "../base/error.ts";
import type { Capability } from "../linux/capabilities.ts";
import type { NamespaceKind } from "../linux/namespaces.ts";
import { dockerSeccompPolicy } from "../linux/seccomp/docker-profile.ts";
import type { SeccompArch } from "../linux/seccomp/policy.ts";
import type { ImageExecution } from "../spec/image-config.ts";
import { type RuntimeConfig, runtimeSpecVersion } from "../spec/runtime-config.ts";
import type { RuntimeDevice, RuntimeLinux } from "../spec/runtime-linux.ts";
import { defaultPath, defaultTerm, mergeArgs, mergeEnvironment, workingDirectory } from "./command.ts";
import type { ContainerOptions } from "./container-options.ts";
import { type ContainerFiles, containerMounts } from "./mounts.ts";
import { containerResources, containerRlimits, type ResourceHost } from "./resources.ts";
import { resolveSeccompProfile } from "./seccomp-profile.ts";
import { containerCapabilities, readSecurityOptions, type SecurityChoices } from "./security.ts";
import { checkShared, isShared, type SharedNamespaces } from "./shared-namespaces.ts";
import type { ResolvedUser } from "./user.ts";

/** What a bundle depends on of the machine that it is made for. */
export interface BundleHost extends ResourceHost {
  readonly architecture: "x64" | "arm64";
  readonly kernel: readonly [major: number, minor: number];
  /** What the engine itself holds: "all" and "privileged" mean no more than that. */
  readonly capabilities: readonly Capability[];
  readonly hostname: string;
  /** Device nodes for privileged containers. */
  readonly devices?: readonly RuntimeDevice[] | undefined;
}

export interface BundleInput {
  readonly id: string;
  readonly image: ImageExecution;
  readonly options: ContainerOptions;
  readonly user: Pick<ResolvedUser, "uid" | "gid" | "additionalGids">;
  readonly host: BundleHost;
  readonly files?: ContainerFiles | undefined;
  readonly shared?: SharedNamespaces | undefined;
  /** Absolute path of the cgroup below which it gets its own; /gantry unless told. */
  readonly cgroupParent?: string | undefined;
  /** Host path of the program for `init`. */
  readonly initProgram?: string | undefined;
  /** Where the root file system will be; the engine mounts it itself. */
  readonly rootPath?: string | undefined;
}

export interface Bundle {
  readonly config: RuntimeConfig;
  readonly warnings: readonly string[];
}

/** What moby masks (oci/defaults.go, 28.x) beside the thermal files of each CPU. */
export const maskedPaths: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

export const readonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** Where the tiny init is put in the container, as Docker does. */
const initPath = "/sbin/docker-init";

const seccompArchs: Readonly<Record<BundleHost["architecture"], SeccompArch>> = {
  x64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
};

export function buildRuntimeConfig(input: BundleInput): Bundle {
  const { id, image, options, user, host, files = {}, initProgram } = input;
  const security = readSecurityOptions(options);
  const capabilities = containerCapabilities(options, host.capabilities);
  const init = options.init && initProgram !== undefined;
  const args = mergeArgs(image, options);
  const mounts = containerMounts(options, files, input.shared);
  checkShared(options);
  const hostname =
    options.hostname ??
    input.shared?.hostname ??
    (options.network === "host" ? host.hostname : id.slice(0, 12));
  const ownUts = options.uts === undefined || options.uts === "private";
  const config: RuntimeConfig = {
    ociVersion: runtimeSpecVersion,
    root: { path: input.rootPath ?? "rootfs", readonly: options.readOnly ?? false },
    process: {
      terminal: options.terminal ?? false,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      cwd: workingDirectory(image, options),
      args: init ? [initPath, "init", "--", ...args] : args,
      env: mergeEnvironment(
        [`PATH=${defaultPath}`, `HOSTNAME=${hostname}`, ...(options.terminal ? [defaultTerm] : [])],
        image.Env ?? [],
        options.env ?? [],
      ),
      // inheritable stays empty (CVE-2022-24769); what a user other than root would lose at exec anyway
      // is not given in the first place
      capabilities:
        user.uid === 0
          ? { bounding: capabilities, effective: capabilities, permitted: capabilities }
          : { bounding: capabilities },
      rlimits: containerRlimits(options),
      noNewPrivileges: security.noNewPrivileges,
      ...(options.oomScoreAdj === undefined ? {} : { oomScoreAdj: oomScoreOf(options.oomScoreAdj) }),
    },
    ...(options.annotations ? { annotations: options.annotations } : {}),
    ...(ownUts ? { hostname } : {}),
    ...(ownUts && options.domainname ? { domainname: options.domainname } : {}),
    mounts: init
      ? [...mounts, { destination: initPath, type: "bind", source: initProgram, options: ["bind", "ro"] }]
      : mounts,
    linux: linuxOf(input, security, capabilities),
  };
  return { config, warnings: security.warnings };
}

function oomScoreOf(value: number): number {
  if (value >= -1000 && value <= 1000) return value;
  throw new GantryError(
    "invalid-argument",
    `Invalid value ${value}, range for oom score adj is [-1000, 1000]`,
  );
}

function namespacesOf({ options, shared }: BundleInput): RuntimeLinux["namespaces"] & {} {
  const { network, pid, ipc, uts, cgroupNamespace, userNamespace } = options;
  const one = (type: NamespaceKind) => {
    const path = shared?.paths[type];
    return [path === undefined ? { type } : { type, path }];
  };
  return [
    { type: "mount" as const },
    ...(uts === "host" ? [] : one("uts")),
    ...(ipc === "host" ? [] : one("ipc")),
    ...(pid === "host" ? [] : one("pid")),
    ...(network === "host" ? [] : one("network")),
    ...(cgroupNamespace === "host" ? [] : [{ type: "cgroup" as const }]),
    ...(userNamespace === undefined || userNamespace === "host" ? [] : one("user")),
  ];
}

/** Docker's defaults: ping and low ports without privileges, inside a network of one's own. */
function sysctlsOf(options: ContainerOptions): Readonly<Record<string, string>> {
  const own: Record<string, string> = {};
  // in a network that others have too they are those others' to set
  if (options.network !== "host" && !isShared(options.network)) {
    own["net.ipv4.ip_unprivileged_port_start"] = "0";
    // the range must be mapped in the user namespace
    if (options.userNamespace === undefined || options.userNamespace === "host")
      own["net.ipv4.ping_group_range"] = "0 2147483647";
  }
  return { ...own, ...options.sysctls };
}

function seccompOf({ host }: BundleInput, security: SecurityChoices, capabilities: readonly Capability[]) {
  const { seccomp } = security;
  const architecture = seccompArchs[host.architecture];
  if (seccomp.kind === "unconfined") return undefined;
  if (seccomp.kind === "profile")
    return resolveSeccompProfile(seccomp.text, { capabilities, architecture, kernel: host.kernel });
  return dockerSeccompPolicy({ capabilities, architecture, kernel: host.kernel });
}

function cgroupsPathOf(cgroupParent: string | undefined, id: string): string {
  if (cgroupParent?.split("/").includes(".."))
    throw new GantryError("invalid-argument", `invalid cgroup parent: ${cgroupParent}`);
  return posix.join("/", cgroupParent ?? "/gantry", id);
}

function thermalPaths(count: number): readonly string[] {
  return Array.from({ length: count }, (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`);
}

function linuxOf(
  input: BundleInput,
  security: SecurityChoices,
  capabilities: readonly Capability[],
): RuntimeLinux {
  const { id, options, host } = input;
  const { userNamespace } = options;
  const users = typeof userNamespace === "object" ? userNamespace : input.shared?.users;
  const seccomp = seccompOf(input, security, capabilities);
  const masked = security.systemPathsUnconfined ? [] : [...maskedPaths, ...thermalPaths(host.cpuCount ?? 0)];
  return {
    namespaces: namespacesOf(input),
    ...(users ? { uidMappings: users.uidMappings, gidMappings: users.gidMappings } : {}),
    cgroupsPath: cgroupsPathOf(input.cgroupParent ?? options.cgroupParent, id),
    resources: containerResources(options, host),
    devices: [
      ...(options.privileged ? (host.devices ?? []) : []),
      ...(host.foundDevices ?? []).map(({ device }) => device),
    ],
    sysctl: sysctlsOf(options),
    maskedPaths: masked,
    readonlyPaths: security.systemPathsUnconfined ? [] : readonlyPaths,
    ...(seccomp ? { seccomp } : {}),
  };
}
