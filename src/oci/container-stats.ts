/** Reads what a container uses now. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { errnoOf } from "../base/error.ts";
import { statsDocument } from "../linux/cgroup-stats.ts";
import type { Members, ReadStat } from "../linux/stat-texts.ts";
import { cgroupFor } from "../plan/compile/living-cgroups.ts";
import { readCgroupFile } from "./cgroup-files.ts";
import type { OciContainer, StateCgroup } from "./state-directory.ts";

/** What the kernel calls hugepages-2048kB here is 2MB in the names of cgroup files. */
function pageSizes(): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync("/sys/kernel/mm/hugepages");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
  return names.flatMap((name) => {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
    if (kilobytes === 0) return [];
    if (kilobytes >= 1 << 20) return [`${kilobytes >> 20}GB`];
    return [kilobytes >= 1024 ? `${kilobytes >> 10}MB` : `${kilobytes}KB`];
  });
}

/** Counters of the host's interfaces are not the container's. */
function interfacesOf(pid: number): string | undefined {
  try {
    if (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync("/proc/self/ns/net")) return undefined;
    return readFileSync(`/proc/${pid}/net/dev`, "utf8");
  } catch (error) {
    // it has ended meanwhile
    if (["ENOENT", "ESRCH", "EINVAL"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

export function readStats({ cgroups, pid }: OciContainer): Members {
  const reader = (cgroup: StateCgroup | undefined): ReadStat | undefined =>
    cgroup && ((file) => readCgroupFile(cgroup, file));
  return statsDocument({
    v1: (controller) => reader(cgroupFor(cgroups, 1, controller)),
    v2: reader(cgroupFor(cgroups, 2, "")),
    pageSizes: pageSizes(),
    interfaces: interfacesOf(pid),
  });
}
