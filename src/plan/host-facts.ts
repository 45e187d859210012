/**
 * What the compiler must know of the machine. Pure data: src/host/ reads it, tests write it down.
 */
import type { CgroupLayout } from "../linux/cgroup-mounts.ts";

export interface RlimitFact {
  readonly soft: bigint;
  readonly hard: bigint;
}

export interface HostFacts {
  readonly kernel: { readonly release: string; readonly major: number; readonly minor: number };
  /** As node: names it. */
  readonly architecture: "x64" | "arm64";
  readonly uid: number;
  readonly gid: number;
  /** Effective capabilities of this process, as a mask. */
  readonly capabilities: bigint;
  /** Whether those capabilities are good in a user namespace only, and not on the host. */
  readonly inUserNamespace: boolean;
  /** Whether setgroups(2) is denied in the user namespace of this process (user_namespaces(7)). */
  readonly setgroupsDenied: boolean;
  /** Whether this process may write to a path; where there is nothing, to the nearest directory above. */
  readonly mayWriteBelow: (path: string) => boolean;
  /** Path of a program of the host ("newuidmap"), if it is there. */
  readonly programPath: (name: string) => string | undefined;
  /** Number of the last capability that the kernel knows. */
  readonly lastCapability: number;
  /** Limits of this process by name (RLIMIT_*). */
  readonly rlimits: Readonly<Record<string, RlimitFact>>;
  /**
   * Soft limit of open files that this process was started with, where it has raised it since: what a program gets
   * that asks for no limit of its own. Undefined if it is not known.
   */
  readonly fileLimitAtStart?: number | undefined;
  readonly cgroups: CgroupLayout;
  /** What the root of the v2 hierarchy offers (cgroup.controllers). */
  readonly unifiedControllers: readonly string[];
  /** Files of a v2 cgroup that go to whom it is delegated to (/sys/kernel/cgroup/delegate). */
  readonly delegatedCgroupFiles: readonly string[];
  /** Where a resctrl file system is mounted (cache and memory bandwidth of the processor). */
  readonly resctrl?: string | undefined;
  /** Linux security modules that are switched on ("capability", "apparmor", "selinux", …). */
  readonly securityModules: readonly string[];
}

/** Whether `facts` holds a capability, by its number. */
export function holds(facts: HostFacts, capability: number): boolean {
  return ((facts.capabilities >> BigInt(capability)) & 1n) === 1n;
}

/** Whether the kernel is at least `major`.`minor`. */
export function kernelAtLeast(facts: HostFacts, major: number, minor: number): boolean {
  const { kernel } = facts;
  return kernel.major > major || (kernel.major === major && kernel.minor >= minor);
}
