/** Files of the cgroups that a process is in, by controller, wherever this machine mounts them. */
import { readFileSync } from "node:fs";
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
