/**
 * How often the kernel has killed something in a container for want of memory: what it tells of (v1, where it says so
 * before it kills) and what it counts. v1 tells nobody that a cgroup inside has come to a limit of its own, and forgets
 * the count with the cgroup: each of the two knows what the other has not seen yet.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cgroupFor, type LivingCgroup } from "../plan/compile/living-cgroups.ts";
import { cgroupDirectory, readCgroupFile } from "./cgroup-files.ts";

function fileOf({ version }: LivingCgroup): string {
  return version === 1 ? "memory.oom_control" : "memory.events";
}

function killsIn(cgroup: LivingCgroup): number {
  return Number(/^oom_kill (\d+)$/m.exec(readCgroupFile(cgroup, fileOf(cgroup)) ?? "")?.[1] ?? 0);
}

/** v1 counts for each cgroup by itself, v2 for all that lies below it. */
function killsBelow(cgroup: LivingCgroup): number {
  if (cgroup.version !== 1) return killsIn(cgroup);
  let below: readonly string[] = [];
  try {
    below = readdirSync(cgroupDirectory(cgroup), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    // the cgroup is gone, and its counter with it
  }
  const inner = below.map((name) => killsBelow({ ...cgroup, path: join(cgroup.path, name) }));
  return inner.reduce((sum, count) => sum + count, killsIn(cgroup));
}

export class OomKills {
  /** The one to watch; undefined where memory is not counted. */
  readonly cgroup: LivingCgroup | undefined;
  readonly #before: number;
  #told = 0;
  #taken = 0;

  constructor(cgroups: readonly LivingCgroup[]) {
    const cgroup = cgroupFor(cgroups, 1, "memory") ?? cgroupFor(cgroups, 2, "memory");
    this.cgroup = cgroup && existsSync(join(cgroupDirectory(cgroup), fileOf(cgroup))) ? cgroup : undefined;
    this.#before = this.#count();
  }

  #count(): number {
    return this.cgroup ? killsBelow(this.cgroup) : 0;
  }

  /** What whoever watches has counted: notices of v1 since it began, kills of v2 ever. */
  tell(count: number): void {
    const kills = this.cgroup?.version === 1 ? count : count - this.#before;
    this.#told = Math.max(this.#told, kills);
  }

  /** How many there were since the last call. */
  take(): number {
    const known = Math.max(this.#told, this.#count() - this.#before);
    const fresh = Math.max(0, known - this.#taken);
    this.#taken += fresh;
    return fresh;
  }
}
