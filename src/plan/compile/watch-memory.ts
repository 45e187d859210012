/** Being told what the kernel does in a container's cgroup for want of memory -> plan. */
import { type Plan, type Step, syncPoints } from "../plan.ts";
import { CgroupOpener, type LivingCgroup } from "./living-cgroups.ts";

/** Ends with the process; the sync point `memory` comes with a count, for the first time when it begins. */
export function compileWatchMemory(
  process: { readonly pid: number; readonly start: number },
  cgroup: LivingCgroup | undefined,
): Plan {
  const phrase = "unable to watch the container";
  const { pid, start } = process;
  const host: Step[] = [{ op: "open-process", where: "", phrase, pid, start, fd: "process" }];
  const dir = cgroup && new CgroupOpener(host, phrase).registerOf(cgroup);
  host.push({
    op: "watch-memory",
    where: "",
    phrase,
    point: syncPoints.memory,
    version: cgroup?.version ?? 0,
    dir,
    process: "process",
  });
  return { host, child: [], cleanup: [] };
}
