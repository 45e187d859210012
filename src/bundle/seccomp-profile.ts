/**
 * A seccomp profile in Docker's form (`--security-opt seccomp=FILE`): like `linux.seccomp` of the
 * runtime-spec, but with rules that depend on capabilities, architecture and kernel, and with a map of
 * architectures.
 */
import { array, type Decoded, object, optional, pattern, refuse, string } from "../base/decode.ts";
import type { LinuxSeccomp, SeccompArch } from "../linux/seccomp/policy.ts";
import { parseRuntimeJson } from "../spec/runtime-config.ts";
import { linuxSeccomp, seccompArchitecture } from "../spec/runtime-seccomp.ts";

const version = pattern(/^\d+\.\d+$/, "a kernel version such as 4.8");

const filter = object({
  caps: optional(array(string, 100)),
  arches: optional(array(string, 100)),
  minKernel: optional(version),
});

const conditions = object({
  name: optional(string),
  includes: optional(filter),
  excludes: optional(filter),
});

const extras = object({
  archMap: optional(
    array(
      object({
        architecture: seccompArchitecture,
        subArchitectures: optional(array(seccompArchitecture, 100)),
      }),
      100,
    ),
  ),
  syscalls: optional(array(conditions, 10_000)),
});

type Filter = Decoded<typeof filter>;

/** Names of architectures in conditions are Go's. */
const goArchitectures: Readonly<Partial<Record<SeccompArch, string>>> = {
  SCMP_ARCH_X86_64: "amd64",
  SCMP_ARCH_X86: "386",
  SCMP_ARCH_X32: "x32",
  SCMP_ARCH_AARCH64: "arm64",
  SCMP_ARCH_ARM: "arm",
};

export interface ProfileTarget {
  readonly capabilities: readonly string[];
  readonly architecture: SeccompArch;
  readonly kernel: readonly [major: number, minor: number];
}

function kernelIsAtLeast({ kernel }: ProfileTarget, text: string): boolean {
  const [major = 0, minor = 0] = text.split(".").map(Number);
  return kernel[0] > major || (kernel[0] === major && kernel[1] >= minor);
}

/** Includes: all that are given must hold (every capability, one of the architectures). */
function includes(target: ProfileTarget, filter: Filter): boolean {
  const { caps = [], arches = [], minKernel } = filter;
  if (arches.length > 0 && !arches.includes(goArchitectures[target.architecture] ?? "")) return false;
  if (!caps.every((name) => target.capabilities.includes(name))) return false;
  return minKernel === undefined || kernelIsAtLeast(target, minKernel);
}

/** Excludes: one that holds is enough. */
function excludes(target: ProfileTarget, filter: Filter): boolean {
  const { caps = [], arches = [], minKernel } = filter;
  return (
    arches.includes(goArchitectures[target.architecture] ?? "") ||
    caps.some((name) => target.capabilities.includes(name)) ||
    (minKernel !== undefined && kernelIsAtLeast(target, minKernel))
  );
}

/** Old profiles have `name` for a single call. */
function withNames(value: unknown): unknown {
  if (
    typeof value !== "object" ||
    value === null ||
    !Array.isArray((value as { syscalls?: unknown }).syscalls)
  )
    return value;
  const syscalls = (value as { syscalls: unknown[] }).syscalls.map((rule) =>
    typeof rule === "object" &&
    rule !== null &&
    "name" in rule &&
    !("names" in rule && (rule.names as unknown[])?.length)
      ? { ...rule, names: [rule.name] }
      : rule,
  );
  return { ...value, syscalls };
}

/** Parses a profile and decides its conditions for `target`. */
export function resolveSeccompProfile(text: string, target: ProfileTarget): LinuxSeccomp {
  return parseRuntimeJson(
    text,
    (value, pointer) => {
      const plain = withNames(value);
      const policy = linuxSeccomp(plain, pointer);
      const { archMap = [], syscalls = [] } = extras(plain, pointer);
      if (archMap.length > 0 && policy.architectures && policy.architectures.length > 0)
        refuse(
          pointer,
          "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'",
        );
      const mapped = archMap.find(({ architecture }) => architecture === target.architecture);
      const kept = (policy.syscalls ?? []).filter((_, index) => {
        const rule = syscalls[index];
        return (
          (!rule?.includes || includes(target, rule.includes)) &&
          !(rule?.excludes && excludes(target, rule.excludes))
        );
      });
      return {
        ...policy,
        ...(mapped ? { architectures: [mapped.architecture, ...(mapped.subArchitectures ?? [])] } : {}),
        syscalls: kept,
      };
    },
    "seccomp profile",
  );
}
