/** Every place of a runtime config, as the decoders in src/spec/ know it: /mounts/INDEX/options, with * for the index. */
import { type Decoder, partsOf } from "../src/base/decode.ts";
import { mountOptionNames } from "../src/linux/mount-options.ts";
import { runtimeConfig } from "../src/spec/runtime-config.ts";
import { memoryPolicyFlags, memoryPolicyModes, namespaceTypes } from "../src/spec/runtime-linux.ts";
import { schedulerFlags, schedulerPolicies } from "../src/spec/runtime-process.ts";
import {
  seccompActions,
  seccompArchitectures,
  seccompFlags,
  seccompOperators,
} from "../src/spec/runtime-seccomp.ts";

/** JSON pointers of all members, where `*` stands for any index or key. */
export function configFields(decoder: Decoder<unknown> = runtimeConfig, pointer = ""): readonly string[] {
  const parts = partsOf(decoder);
  if (!parts) return [];
  if (parts.kind === "each") return configFields(parts.of, `${pointer}/*`);
  return Object.entries(parts.members).flatMap(([name, member]) => [
    `${pointer}/${name}`,
    ...configFields(member, `${pointer}/${name}`),
  ]);
}

/** Values that have a meaning of their own, by the member that may have them. */
export const configValues: Readonly<Record<string, readonly string[]>> = {
  "/mounts/*/options": mountOptionNames,
  "/linux/namespaces/*/type": namespaceTypes,
  "/linux/devices/*/type": ["c", "b", "u", "p"],
  "/linux/rootfsPropagation": ["shared", "slave", "private", "unbindable"],
  "/linux/personality/domain": ["LINUX", "LINUX32"],
  "/linux/memoryPolicy/mode": memoryPolicyModes,
  "/linux/memoryPolicy/flags": memoryPolicyFlags,
  "/linux/seccomp/defaultAction": seccompActions,
  "/linux/seccomp/architectures": seccompArchitectures,
  "/linux/seccomp/flags": seccompFlags,
  "/linux/seccomp/syscalls/*/args/*/op": seccompOperators,
  "/process/scheduler/policy": schedulerPolicies,
  "/process/scheduler/flags": schedulerFlags,
  "/process/ioPriority/class": ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"],
};
