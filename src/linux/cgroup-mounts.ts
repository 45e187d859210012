/**
 * How the control groups of this machine are laid out, from the text of /proc/self/mountinfo and
 * /proc/self/cgroup (cgroups(7)).
 */
import type { MountEntry } from "./mountinfo.ts";

export interface CgroupHierarchy {
  /** Where it is mounted. */
  readonly mountPoint: string;
  /** The cgroup that is the root of the mount: "/" unless only a part is visible. */
  readonly root: string;
  /** v1: the controllers of this hierarchy in the kernel's order; v2: empty, see cgroup.controllers. */
  readonly controllers: readonly string[];
  /** v1 only: the name of a named hierarchy ("systemd"). */
  readonly name?: string;
  /** The cgroup of this process, as /proc/self/cgroup states it. */
  readonly ownPath: string;
  /** The directory of that cgroup, if the mount shows it. */
  readonly ownDirectory: string | undefined;
}

export interface CgroupLayout {
  /** "hybrid": controllers on v1 hierarchies and a v2 hierarchy beside them. */
  readonly mode: "v1" | "hybrid" | "v2" | "none";
  readonly unified: CgroupHierarchy | undefined;
  /** v1 controller -> its hierarchy; "name=systemd" for a named one. */
  readonly controllers: ReadonlyMap<string, CgroupHierarchy>;
}

/** /proc/PID/cgroup: "" -> the path in v2, controller or "name=…" -> the path in v1. */
export function parseProcCgroup(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const first = line.indexOf(":");
    const second = line.indexOf(":", first + 1);
    if (first < 0 || second < 0) continue;
    const controllers = line.slice(first + 1, second);
    for (const controller of controllers.split(",")) paths.set(controller, line.slice(second + 1));
  }
  return paths;
}

/** The directory of cgroup `path` in a mount of the hierarchy from `root` on; undefined if it is outside. */
export function cgroupDirectory(mountPoint: string, root: string, path: string): string | undefined {
  if (root === "/") return path === "/" ? mountPoint : `${mountPoint}${path}`;
  if (path === root) return mountPoint;
  return path.startsWith(`${root}/`) ? `${mountPoint}${path.slice(root.length)}` : undefined;
}

/** What superblock options of a v1 mount name beside controllers. */
const notControllers = new Set([
  "rw",
  "ro",
  "none",
  "all",
  "noprefix",
  "clone_children",
  "xattr",
  "cpuset_v2_mode",
]);

/** Reads the layout. Of several mounts of one hierarchy the one that shows most, and then the first, counts. */
export function cgroupLayout(mounts: readonly MountEntry[], procSelfCgroup: string): CgroupLayout {
  const paths = parseProcCgroup(procSelfCgroup);
  const controllers = new Map<string, CgroupHierarchy>();
  let unified: CgroupHierarchy | undefined;

  function better(known: CgroupHierarchy | undefined, root: string): boolean {
    return known === undefined || (known.root !== "/" && root === "/");
  }

  for (const { fsType, mountPoint, root, superOptions } of mounts) {
    if (fsType === "cgroup2") {
      const ownPath = paths.get("") ?? "/";
      if (better(unified, root))
        unified = {
          mountPoint,
          root,
          controllers: [],
          ownPath,
          ownDirectory: cgroupDirectory(mountPoint, root, ownPath),
        };
    } else if (fsType === "cgroup") {
      const named = superOptions.find((option) => option.startsWith("name="));
      const present = superOptions.filter(
        (option) => !notControllers.has(option) && !option.includes("=") && paths.has(option),
      );
      const keys = named === undefined ? present : [named, ...present];
      const ownPath = (keys[0] === undefined ? undefined : paths.get(keys[0])) ?? "/";
      const hierarchy: CgroupHierarchy = {
        mountPoint,
        root,
        controllers: present,
        ...(named === undefined ? {} : { name: named.slice("name=".length) }),
        ownPath,
        ownDirectory: cgroupDirectory(mountPoint, root, ownPath),
      };
      for (const key of keys) if (better(controllers.get(key), root)) controllers.set(key, hierarchy);
    }
  }
  const v1 = [...controllers.keys()].some((key) => !key.startsWith("name="));
  const mode = unified === undefined ? (controllers.size > 0 ? "v1" : "none") : v1 ? "hybrid" : "v2";
  return { mode, unified, controllers };
}
