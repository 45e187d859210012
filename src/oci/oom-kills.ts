/**
 * How often the kernel has killed something in a container for want of memory.
 *
 * v2 wakes whoever watches memory.events. v1 has an eventfd for that, which no program without native code can make;
 * its counter is asked again and again instead. It stays as long as the cgroup does.
 */
import { readdirSync, watch } from "node:fs";
import { join } from "node:path";
import { cgroupFor, type LivingCgroup } from "../plan/compile/living-cgroups.ts";
import { readCgroupFile } from "./cgroup-files.ts";

function killsIn(cgroup: LivingCgroup): number {
  const file = cgroup.version === 1 ? "memory.oom_control" : "memory.events";
  return Number(/^oom_kill (\d+)$/m.exec(readCgroupFile(cgroup, file) ?? "")?.[1] ?? 0);
}

/** v1 counts for each cgroup by itself, v2 for all that lies below it. */
function killsBelow(cgroup: LivingCgroup): number {
  if (cgroup.version !== 1) return killsIn(cgroup);
  let below: readonly string[] = [];
  try {
    below = readdirSync(`${cgroup.mount}${cgroup.path}`, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    // the cgroup is gone, and its counter with it
  }
  const inner = below.map((name) => killsBelow({ ...cgroup, path: join(cgroup.path, name) }));
  return inner.reduce((sum, count) => sum + count, killsIn(cgroup));
}

export class OomKills {
  readonly #cgroup: LivingCgroup | undefined;
  #seen = 0;

  constructor(cgroups: readonly LivingCgroup[]) {
    this.#cgroup = cgroupFor(cgroups, 1, "memory") ?? cgroupFor(cgroups, 2, "memory");
    this.take();
  }

  /** How many there were since the last call. */
  take(): number {
    const count = this.#cgroup ? killsBelow(this.#cgroup) : 0;
    const fresh = Math.max(0, count - this.#seen);
    this.#seen = count;
    return fresh;
  }

  /** Calls back when there may be new ones, where the kernel tells of it. */
  watch(callback: () => void): Disposable {
    const cgroup = this.#cgroup;
    if (cgroup?.version !== 2) return { [Symbol.dispose]: () => {} };
    const watcher = watch(`${cgroup.mount}${cgroup.path}/memory.events`, callback);
    watcher.on("error", callback);
    return { [Symbol.dispose]: () => watcher.close() };
  }
}
