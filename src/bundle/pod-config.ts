/** What a pod has of its own, as the runtime config that its plan is made of. Pure. */
import type { NamespaceKind } from "../linux/namespaces.ts";
import { type RuntimeConfig, runtimeSpecVersion } from "../spec/runtime-config.ts";
import type { IdMapping } from "../spec/runtime-mount.ts";
import type { ContainerOptions } from "./container-options.ts";
import { containerResources } from "./resources.ts";
import type { BundleHost } from "./runtime-config.ts";

/** Whose namespace containers of a pod have: one that the pod holds, the host's, or each its own. */
export type PodNamespaceMode = "pod" | "host" | "container";

export const podNamespaceKinds = ["network", "ipc", "uts", "pid"] as const;
export type PodNamespaces = Readonly<Record<(typeof podNamespaceKinds)[number], PodNamespaceMode>>;

/** Limits that all containers of a pod keep together. */
export type PodLimits = Pick<
  ContainerOptions,
  | "memoryBytes"
  | "memorySwapBytes"
  | "memoryReservationBytes"
  | "cpus"
  | "cpuShares"
  | "cpusetCpus"
  | "cpusetMems"
  | "pidsLimit"
>;

export interface PodConfigInput {
  readonly hostname: string;
  readonly namespaces: PodNamespaces;
  readonly users?:
    | { readonly uidMappings: readonly IdMapping[]; readonly gidMappings: readonly IdMapping[] }
    | undefined;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly cgroupPath: string;
  readonly limits: PodLimits;
}

export function podConfig(
  input: PodConfigInput,
  host: Pick<BundleHost, "swapLimit" | "cpuCount">,
): RuntimeConfig {
  const { namespaces, users, hostname, sysctls, cgroupPath, limits } = input;
  const shared = podNamespaceKinds.filter((kind) => namespaces[kind] === "pod");
  // a user namespace may write its sysctls only through a proc of a pid namespace that it owns
  const kinds = new Set<NamespaceKind>(["mount", ...shared, ...(users ? (["user", "pid"] as const) : [])]);
  return {
    ociVersion: runtimeSpecVersion,
    ...(namespaces.uts === "pod" ? { hostname } : {}),
    linux: {
      namespaces: [...kinds].map((type) => ({ type })),
      ...users,
      cgroupsPath: cgroupPath,
      // of devices each container has what it is given
      resources: containerResources({ ...limits, privileged: true }, host),
      sysctl: { ...networkSysctls(input), ...sysctls },
    },
  };
}

/** The same as for a container with a network of its own. */
function networkSysctls({ namespaces, users }: PodConfigInput): Readonly<Record<string, string>> {
  if (namespaces.network !== "pod") return {};
  return {
    "net.ipv4.ip_unprivileged_port_start": "0",
    ...(users ? {} : { "net.ipv4.ping_group_range": "0 2147483647" }),
  };
}
