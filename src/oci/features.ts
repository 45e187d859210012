/**
 * The document of `features` (runtime-spec 1.3, features.md): what this runtime knows, whatever kernel
 * it runs on: the same everywhere. It says what is done, so a member grows with the code.
 */
import { capabilityNames } from "../linux/capabilities.ts";
import { mountOptionNames } from "../linux/mount-options.ts";
import { seccompArchitectures } from "../linux/seccomp/architectures.ts";
import { annotationPrefix } from "../linux/systemd-annotations.ts";
import { runtimeSpecVersion, runtimeSpecVersionMin } from "../spec/runtime-config.ts";
import { hookKinds } from "../spec/runtime-hooks.ts";
import { memoryPolicyFlags, memoryPolicyModes, namespaceTypes } from "../spec/runtime-linux.ts";
import { seccompActions, seccompFlags, seccompOperators } from "../spec/runtime-seccomp.ts";

/** Names a file with options of criu. */
export const criuAnnotation = "org.criu.config";

export function featuresDocument(): Readonly<Record<string, unknown>> {
  return {
    ociVersionMin: runtimeSpecVersionMin,
    ociVersionMax: runtimeSpecVersion,
    hooks: hookKinds,
    mountOptions: mountOptionNames,
    linux: {
      namespaces: namespaceTypes,
      capabilities: capabilityNames,
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: {
        enabled: true,
        actions: seccompActions,
        operators: seccompOperators,
        archs: Object.keys(seccompArchitectures).sort(),
        knownFlags: seccompFlags,
        supportedFlags: seccompFlags,
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: true, schemata: true, monitoring: true },
      memoryPolicy: { modes: memoryPolicyModes, flags: memoryPolicyFlags },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: true },
    },
    // what an image must not be able to ask for
    potentiallyUnsafeConfigAnnotations: [annotationPrefix, criuAnnotation],
  };
}
