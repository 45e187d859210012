/** `exec --cgroup [controller,…:]path`: a cgroup below the container's own, in all hierarchies or in some. */
import { posix } from "node:path";
import { usageError } from "./flags.ts";
import type { StateCgroup } from "./state-directory.ts";

/** Controller, or "" for every hierarchy, -> path. */
function readPaths(asked: readonly string[]): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const text of asked) {
    const colon = text.indexOf(":");
    if (colon < 0 && asked.length > 1)
      throw usageError(`invalid --cgroup argument: ${text} (missing <controller>: prefix)`);
    for (const controller of colon < 0 ? [""] : text.slice(0, colon).split(",")) {
      if (controller === "" && colon >= 0)
        throw usageError(`invalid --cgroup argument: ${text} (empty <controller> prefix)`);
      if (paths.has(controller))
        throw usageError(`invalid --cgroup argument(s): multiple paths for controller ${controller}`);
      paths.set(controller, text.slice(colon + 1));
    }
  }
  return paths;
}

function below(path: string, sub: string): string {
  const joined = posix.join(path, sub).replace(/\/$/, "");
  if (joined !== path && !joined.startsWith(`${path}/`)) throw usageError(`${sub} is not a sub cgroup path`);
  return joined;
}

/** The container's cgroups with what --cgroup asks for. */
export function subCgroups(
  cgroups: readonly StateCgroup[],
  asked: readonly string[],
): readonly StateCgroup[] {
  const paths = readPaths(asked);
  const known = new Set(["", ...cgroups.flatMap(({ controllers = [] }) => controllers)]);
  for (const controller of paths.keys())
    if (!known.has(controller)) throw usageError(`unknown controller ${controller} in SubCgroupPaths`);
  return cgroups.map((cgroup) => {
    const named = cgroup.controllers?.find((controller) => paths.has(controller)) ?? "";
    const sub = paths.get(named);
    return sub === undefined ? cgroup : { ...cgroup, path: below(cgroup.path, sub) };
  });
}
