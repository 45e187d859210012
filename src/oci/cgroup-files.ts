/** Reads the cgroups of a container, as its state names them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, wrapErrno } from "../base/error.ts";
import type { LivingCgroup } from "../plan/compile/living-cgroups.ts";

export function cgroupDirectory({ mount, path }: LivingCgroup): string {
  return `${mount}${path}`;
}

/** What a file says; undefined where the kernel has no such file, or the cgroup is gone. */
export function readCgroupFile(cgroup: LivingCgroup, file: string): string | undefined {
  const path = join(cgroupDirectory(cgroup), file);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // a file may be there and have nothing to say (EOPNOTSUPP, EINVAL for some of a v1 root), ENODEV: gone meanwhile
    if (["ENOENT", "ENODEV", "EOPNOTSUPP", "EINVAL"].includes(errnoOf(error) ?? "")) return undefined;
    throw wrapErrno(error, "read", path);
  }
}

/** A file that holds one number; undefined for another word ("max"), or no file. */
export function readCgroupNumber(cgroup: LivingCgroup | undefined, file: string): number | undefined {
  const text = cgroup && readCgroupFile(cgroup, file)?.trim();
  return text && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** Deeper trees are somebody's joke. */
const depthLimit = 32;

function addProcesses(directory: string, pids: Set<number>, depth: number): void {
  let names: string[];
  try {
    for (const line of readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n")) {
      // 0 stands for a process of another pid namespace, and would be a signal to our own group
      if (Number(line) > 1) pids.add(Number(line));
    }
  } catch (error) {
    // EOPNOTSUPP: a threaded cgroup, whose processes stand above it
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENODEV") return;
    if (errnoOf(error) !== "EOPNOTSUPP") throw wrapErrno(error, "read", directory);
  }
  if (depth >= depthLimit) return;
  try {
    names = readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw wrapErrno(error, "read", directory);
  }
  for (const name of names) addProcesses(join(directory, name), pids, depth + 1);
}

/**
 * Every process in the cgroups and below them, by the pids of the host. A process may have left one hierarchy, so
 * all are asked; each is read once.
 */
export function processesOf(cgroups: readonly LivingCgroup[]): readonly number[] {
  const pids = new Set<number>();
  for (const cgroup of cgroups) addProcesses(cgroupDirectory(cgroup), pids, 0);
  return [...pids].sort((a, b) => a - b);
}
