/** Freezing and thawing of a container -> plan. */
import { GantryError } from "../../base/error.ts";
import type { Plan, Step } from "../plan.ts";
import { CgroupOpener, freezerOf, type LivingCgroup } from "./living-cgroups.ts";

/** As long as runc waits. */
const freezeTimeoutMs = 10_000;

export function freezeStep(dir: string, version: 1 | 2, frozen: boolean): Step {
  const phrase = frozen ? "unable to freeze" : "unable to thaw";
  const timeoutMs = freezeTimeoutMs;
  return { op: "freeze-cgroup", where: "", phrase, dir, version, frozen: frozen ? 1 : 0, timeoutMs };
}

export function compileFreeze(cgroups: readonly LivingCgroup[], frozen: boolean): Plan {
  const freezer = freezerOf(cgroups);
  if (!freezer)
    throw new GantryError(
      "failed-precondition",
      "cannot toggle freezer: cgroups not configured for container",
    );
  const host: Step[] = [];
  const dir = new CgroupOpener(host, "unable to open the cgroup").registerOf(freezer.cgroup);
  host.push(freezeStep(dir, freezer.version, frozen));
  return { host, child: [], cleanup: [] };
}
