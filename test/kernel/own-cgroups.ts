/** Files of the cgroups that a process is in, by controller, wherever this machine mounts them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupDirectory, cgroupLayout, parseProcCgroup } from "../../src/linux/cgroup-mounts.ts";
import { parseMountinfo } from "../../src/linux/mountinfo.ts";

const layout = cgroupLayout(
  parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8")),
  readFileSync("/proc/self/cgroup", "utf8"),
);

/** True if the machine has this controller in a v1 hierarchy. */
export const hasV1 = (controller: string) => layout.controllers.has(controller);

/** The directory of the cgroup of a process; v1 where the controller has a hierarchy, else v2. */
export function cgroupOf(pid: unknown, controller: string): string {
  const paths = parseProcCgroup(readFileSync(`/proc/${String(pid)}/cgroup`, "utf8"));
  const v1 = layout.controllers.get(controller);
  const hierarchy = v1 ?? layout.unified;
  const path = paths.get(v1 ? controller : "");
  if (!hierarchy || path === undefined)
    throw new Error(`process ${String(pid)} has no cgroup of ${controller}`);
  const directory = cgroupDirectory(hierarchy.mountPoint, hierarchy.root, path);
  if (directory === undefined) throw new Error(`${path} is not below ${hierarchy.mountPoint}`);
  return directory;
}

/** What a file of it says, without the line end. */
export function cgroupValue(pid: unknown, controller: string, file: string): string {
  return readFileSync(join(cgroupOf(pid, controller), file), "utf8").trim();
}

/** Host pids in it. */
export function cgroupMembers(pid: unknown, controller: string): readonly number[] {
  return cgroupValue(pid, controller, "cgroup.procs").split("\n").filter(Boolean).map(Number);
}

/** Freezes a process's cgroup behind the runtime's back. */
export function freezerOf(pid: unknown) {
  const v1 = hasV1("freezer");
  // the file's place is taken while the process lives
  const dir = cgroupOf(pid, "freezer");
  const write = (v1Word: string, v2Word: string) =>
    writeFileSync(join(dir, v1 ? "freezer.state" : "cgroup.freeze"), v1 ? v1Word : v2Word);
  return {
    freeze: () => write("FROZEN", "1"),
    thaw: () => write("THAWED", "0"),
    isFrozen: () =>
      v1
        ? readFileSync(join(dir, "freezer.state"), "utf8") === "FROZEN\n"
        : readFileSync(join(dir, "cgroup.events"), "utf8").includes("frozen 1"),
  };
}
