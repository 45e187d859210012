/** The cgroups of a container that runs, with what its start record leaves out: which hierarchy each one is of. */
import { readFileSync } from "node:fs";
import { errnoOf, wrapErrno } from "../../base/error.ts";
import type { StateCgroup } from "../../oci/state-directory.ts";
import { freezerOf } from "../../plan/compile/living-cgroups.ts";
import type { StartRecord } from "../../tasks/records.ts";
import type { Internals } from "../internals.ts";

export function containerCgroups(internals: Internals, { cgroups }: StartRecord): readonly StateCgroup[] {
  const { controllers, unified } = internals.hostFacts().cgroups;
  const byMount = new Map([...controllers.values()].map((hierarchy) => [hierarchy.mountPoint, hierarchy]));
  return cgroups.flatMap(({ mount, path }): readonly StateCgroup[] => {
    if (mount === unified?.mountPoint) return [{ version: 2, mount, path }];
    const hierarchy = byMount.get(mount);
    // one that was unmounted since has nothing to say any more
    return hierarchy ? [{ version: 1, mount, path, controllers: [...hierarchy.controllers] }] : [];
  });
}

/** Whether `pause` holds it: the kernel knows, whoever did that. */
export function isFrozen(internals: Internals, start: StartRecord): boolean {
  const freezer = freezerOf(containerCgroups(internals, start));
  if (!freezer) return false;
  const { cgroup, version } = freezer;
  const path = `${cgroup.mount}${cgroup.path}/${version === 1 ? "freezer.state" : "cgroup.freeze"}`;
  try {
    return ["FROZEN", "FREEZING", "1"].includes(readFileSync(path, "utf8").trim());
  } catch (error) {
    // it has just ended, or has not begun
    if (["ENOENT", "ENODEV"].includes(errnoOf(error) ?? "")) return false;
    throw wrapErrno(error, "read", path);
  }
}
