/** `linux` of a runtime config, but for resources and seccomp (runtime-spec 1.3, config-linux.md). */
import {
  array,
  boolean,
  type Decoded,
  integer,
  object,
  oneOf,
  optional,
  pattern,
  record,
  string,
} from "../base/decode.ts";
import { int64Limit } from "./runtime-integers.ts";
import { idMappings } from "./runtime-mount.ts";
import { linuxResources } from "./runtime-resources.ts";
import { linuxSeccomp } from "./runtime-seccomp.ts";

export const namespaceTypes = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"] as const;

const namespace = object({ type: oneOf(...namespaceTypes), path: optional(string) });

const device = object({
  type: oneOf("c", "b", "u", "p"),
  path: pattern(/^\//, "an absolute path"),
  major: optional(integer(0, 0xfff)),
  minor: optional(integer(0, 0xfffff)),
  /** runtime-spec says 0 to 0o777; engines also write the file type's bits, which the kernel ignores. */
  fileMode: optional(integer(0, 0xffff)),
  uid: optional(integer(0, 0xfffffffe)),
  gid: optional(integer(0, 0xfffffffe)),
});

const timeOffset = object({ secs: optional(int64Limit), nanosecs: optional(integer(0, 999_999_999)) });

const paths = array(string, 10_000);

export const memoryPolicyModes = [
  "MPOL_DEFAULT",
  "MPOL_BIND",
  "MPOL_INTERLEAVE",
  "MPOL_WEIGHTED_INTERLEAVE",
  "MPOL_PREFERRED",
  "MPOL_PREFERRED_MANY",
  "MPOL_LOCAL",
] as const;

export const memoryPolicyFlags = [
  "MPOL_F_NUMA_BALANCING",
  "MPOL_F_RELATIVE_NODES",
  "MPOL_F_STATIC_NODES",
] as const;

export const runtimeLinux = object({
  namespaces: optional(array(namespace, 100)),
  uidMappings: optional(idMappings),
  gidMappings: optional(idMappings),
  timeOffsets: optional(object({ boottime: optional(timeOffset), monotonic: optional(timeOffset) })),
  devices: optional(array(device, 10_000)),
  netDevices: optional(record(object({ name: optional(string) }), 1000)),
  cgroupsPath: optional(string),
  resources: optional(linuxResources),
  intelRdt: optional(
    object({
      closID: optional(string),
      schemata: optional(array(string, 1000)),
      l3CacheSchema: optional(string),
      memBwSchema: optional(pattern(/^MB:[^\n]*$/, "a memory bandwidth schema")),
      enableMonitoring: optional(boolean),
    }),
  ),
  memoryPolicy: optional(
    object({
      mode: oneOf(...memoryPolicyModes),
      nodes: optional(string),
      flags: optional(array(oneOf(...memoryPolicyFlags), 100)),
    }),
  ),
  sysctl: optional(record(string, 10_000)),
  seccomp: optional(linuxSeccomp),
  rootfsPropagation: optional(
    oneOf("", "private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"),
  ),
  maskedPaths: optional(paths),
  readonlyPaths: optional(paths),
  mountLabel: optional(string),
  personality: optional(object({ domain: oneOf("LINUX", "LINUX32"), flags: optional(array(string, 100)) })),
});

export type RuntimeLinux = Decoded<typeof runtimeLinux>;
export type RuntimeNamespace = Decoded<typeof namespace>;
export type RuntimeDevice = Decoded<typeof device>;
export type NamespaceType = (typeof namespaceTypes)[number];
