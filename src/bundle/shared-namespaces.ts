/** What a container has of a pod or of other containers, as its maker found it. Pure. */
import { GantryError } from "../base/error.ts";
import type { NamespaceKind } from "../linux/namespaces.ts";
import type { IdMapping } from "../spec/runtime-mount.ts";
import type { ContainerOptions } from "./container-options.ts";

export interface SharedNamespaces {
  /** By kind: path of a namespace, or `container:ID` and `pod:ID` for the present process of one. */
  readonly paths: Partial<Readonly<Record<NamespaceKind, string>>>;
  /** In the place of a /dev/shm of its own: a host directory, or `container:ID`. */
  readonly shm?: string | undefined;
  /** The host name that it sees, where it has not set one. */
  readonly hostname?: string | undefined;
  /** Of a user namespace that is joined. */
  readonly users?:
    | { readonly uidMappings: readonly IdMapping[]; readonly gidMappings: readonly IdMapping[] }
    | undefined;
}

/** Whether the namespace is that of a pod or of another container. */
export function isShared(mode: string | object | undefined): mode is string {
  return typeof mode === "string" && (mode === "pod" || mode.startsWith("container:"));
}

function conflict(what: string): never {
  throw new GantryError("invalid-argument", `conflicting options: ${what}`);
}

/** Docker's words for what cannot be asked of a namespace that is somebody else's. */
export function checkShared(options: ContainerOptions): void {
  const { network, uts, hostname, domainname, sysctls = {} } = options;
  if (hostname !== undefined && uts !== undefined && uts !== "private") conflict("hostname and the UTS mode");
  if (domainname !== undefined && isShared(uts)) conflict("domainname and the UTS mode");
  if (hostname !== undefined && isShared(network) && network !== "pod")
    conflict("hostname and the network mode");
  const net = Object.keys(sysctls).find((key) => /^net[./]/.test(key));
  if (net !== undefined && isShared(network)) conflict(`sysctl ${net} and the network mode`);
}
