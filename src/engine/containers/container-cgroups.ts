/** The cgroups of a container that runs, with what its start record leaves out: which hierarchy each one is of. */
import { readFileSync } from "node:fs";
import { errnoOf, wrapErrno } from "../../base/error.ts";
import type { StateCgroup } from "../../oci/state-directory.ts";
import { freezerOf, isFrozenState } from "../../plan/compile/living-cgroups.ts";
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
  return freezer !== undefined && isFrozenState(read(freezer.cgroup, freezer.file));
}

/** Whether all of it has come to a halt. One that has ended, or has no freezer, will never be stiller. */
export function standsStill(internals: Internals, start: StartRecord): boolean {
  const freezer = freezerOf(containerCgroups(internals, start));
  if (!freezer) return true;
  const { cgroup, version, file } = freezer;
  return version === 1
    ? read(cgroup, file).trim() === "FROZEN"
    : /^frozen 1$/m.test(read(cgroup, "cgroup.events"));
}

function read({ mount, path: below }: StateCgroup, file: string): string {
  const path = `${mount}${below}/${file}`;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // it has just ended, or has not begun
    if (["ENOENT", "ENODEV"].includes(errnoOf(error) ?? "")) return "";
    throw wrapErrno(error, "read", path);
  }
}
