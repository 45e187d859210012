/**
 * `linux.resources` -> the files of a cgroup and what is written to them, in the order in which they
 * must be written. Devices are apart: device-rules.ts (v1) and device-filter.ts (v2).
 *
 * Values and their quirks are those of runc 1.4 (libcontainer/cgroups fs and fs2), since programs rely
 * on them: 0 means "not set" for memory and cpu, -1 means "no limit".
 */
import { GantryError } from "../base/error.ts";
import type { LinuxMemory, LinuxResources } from "./resources.ts";

export interface CgroupWrite {
  /** The controller whose hierarchy (v1) holds the file, or that must be enabled (v2). */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** Where in `linux.resources` this was asked for, as a JSON pointer. */
  readonly pointer: string;
  /** The kernel may lack the file; then nothing is written and that is no failure. */
  readonly optional?: true;
  /** What to write instead if the kernel lacks `file`. */
  readonly otherwise?: { readonly file: string; readonly value: string };
}

/** A condition to check before the writes: fail if the number in `file` has reached `limit`. */
export interface CgroupCheck {
  readonly controller: string;
  readonly file: string;
  readonly limit: number;
  readonly pointer: string;
}

export interface CgroupValues {
  readonly checks: readonly CgroupCheck[];
  readonly writes: readonly CgroupWrite[];
  /** Pointers to what was asked for and this cgroup version cannot do; runc is silent about them too. */
  readonly ignored: readonly string[];
}

/** The error for a value that cannot be set; `pointer` is within linux.resources. */
export function invalidResource(pointer: string, reason: string): GantryError {
  return new GantryError("invalid-argument", `set cgroup resources: ${reason}`, { detail: { pointer } });
}

/**
 * What a cgroup has now, as far as the kernel checks one value against another; a fresh cgroup's unless told.
 * The order of the writes depends on it.
 */
export interface CurrentLimits {
  /** v1: memory.limit_in_bytes. */
  readonly memoryLimit?: number | undefined;
  /** v1: cpu.cfs_quota_us, negative for none. */
  readonly cpuQuota?: number | undefined;
  /** v1: cpu.cfs_period_us. */
  readonly cpuPeriod?: number | undefined;
  /** cpu.cfs_burst_us or cpu.max.burst. */
  readonly cpuBurst?: number | undefined;
  /** v1: cpu.rt_runtime_us. */
  readonly cpuRealtimeRuntime?: number | undefined;
  /** v1: oom_kill_disable of memory.oom_control. */
  readonly oomKillerDisabled?: boolean | undefined;
}

export const defaultCpuPeriod = 100_000;

type Extra = Partial<Pick<CgroupWrite, "optional" | "otherwise">>;

/** Collects the outcome for one version. */
export class CgroupValuesBuilder {
  readonly checks: CgroupCheck[] = [];
  readonly writes: CgroupWrite[] = [];
  readonly ignored: string[] = [];

  /** Adds the write of `value` to "CONTROLLER.rest" for the field at `pointer`. */
  write(controller: string, file: string, value: string | number, pointer: string, extra: Extra = {}): void {
    this.writes.push({ controller, file, value: String(value), pointer, ...extra });
  }

  ignore(pointer: string, asked: boolean): void {
    if (asked) this.ignored.push(pointer);
  }

  build(): CgroupValues {
    return { checks: this.checks, writes: this.writes, ignored: this.ignored };
  }
}

/** Whether a value is given and not 0, which stands for "not set". */
export const isSet = (value: number | undefined): value is number => value !== undefined && value !== 0;

/** -1 (any negative) is the word that the file uses for "no limit". */
export const limitText = (value: number, unlimited: string): string =>
  value < 0 ? unlimited : String(value);

/** Fails on memory values that mean nothing. */
export function checkMemory(memory: LinuxMemory): void {
  for (const field of ["limit", "swap", "reservation"] as const)
    if ((memory[field] ?? 0) < -1)
      throw invalidResource(`/memory/${field}`, `${memory[field]} is below -1 (no limit)`);
}

/** Swap limit in the v1 sense (memory + swap), with the default that a limit of -1 brings along. */
export function memorySwapOf(memory: LinuxMemory): number | undefined {
  if (memory.limit !== undefined && memory.limit < 0 && !isSet(memory.swap)) return -1;
  return isSet(memory.swap) ? memory.swap : undefined;
}

/** "2MB" -> "2MB" if it is a size as the kernel names hugetlb files. */
export function hugePageSize(size: string, pointer: string): string {
  if (!/^[1-9][0-9]*[KMG]B$/.test(size))
    throw invalidResource(pointer, `page size ${JSON.stringify(size)} is malformed`);
  return size;
}

/** A name that becomes part of a line of a cgroup file. */
export function plainWord(text: string, pointer: string, what: string): string {
  if (text === "" || /[\s/]/.test(text))
    throw invalidResource(pointer, `${what} ${JSON.stringify(text)} is malformed`);
  return text;
}

/** rdma.max is the same in both versions: one line a device. */
export function rdmaValues(out: CgroupValuesBuilder, rdma: LinuxResources["rdma"]): void {
  for (const [device, { hcaHandles, hcaObjects }] of Object.entries(rdma ?? {})) {
    const pointer = `/rdma/${device.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const limits = [
      ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
      ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
    ];
    if (limits.length > 0)
      out.write(
        "rdma",
        "rdma.max",
        `${plainWord(device, pointer, "rdma device")} ${limits.join(" ")}`,
        pointer,
      );
  }
}
