/** The plan of the start of a pod, and of what undoes it. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, wrapErrno } from "../../base/error.ts";
import { podConfig } from "../../bundle/pod-config.ts";
import { runPlan } from "../../launch/launch.ts";
import { compilePod } from "../../plan/compile/pod.ts";
import type { Plan, Step } from "../../plan/plan.ts";
import { endProcess } from "../../tasks/end-process.ts";
import { bundleHost } from "../bundle-host.ts";
import type { Internals } from "../internals.ts";
import { type PodRecord, podCgroup } from "./pod-record.ts";
import { readSandbox, readStarter } from "./sandbox.ts";

export function podPlan(internals: Internals, pod: PodRecord, network: boolean): Plan {
  const facts = internals.hostFacts();
  const { id, namespaces, shmSizeBytes, ownsCgroup } = pod;
  return compilePod({
    id,
    config: podConfig({ ...pod, cgroupPath: podCgroup(pod) }, bundleHost(facts, pod.limits)),
    facts,
    state: internals.pods.stateDirectory(id),
    shmBytes: namespaces.ipc === "pod" ? shmSizeBytes : undefined,
    pause: namespaces.pid === "pod",
    ownsCgroup,
    network,
    warn: (message, pointer) => internals.logger.warn(message, { pod: id, pointer }),
  });
}

/**
 * Undoes a start, whichever process was killed in the middle of it; may be repeated. The caller holds the lock of the
 * pod. Without a record, what there is to see is taken away.
 */
export async function undoPod(internals: Internals, pod: PodRecord | { readonly id: string }): Promise<void> {
  const { pods } = internals;
  const dir = pods.stateDirectory(pod.id);
  // an executor whose client was killed may be at it still
  for (const process of [readStarter(dir), readSandbox(dir)?.pause])
    if (process) await endProcess(process, `end pod "${pod.id}"`);
  const cleanup = "name" in pod ? podPlan(internals, pod, false).cleanup : strayPins(dir, pod.id, internals);
  await runPlan({ host: [], child: [], cleanup }, { executor: internals.executor() });
  pods.removeStateDirectory(pod.id);
}

function strayPins(dir: string, id: string, internals: Internals): readonly Step[] {
  let names: readonly string[] = [];
  try {
    names = readdirSync(join(dir, "ns"));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "read directory", dir);
  }
  const { unified, controllers } = internals.hostFacts().cgroups;
  const mounts = new Set([...controllers.values(), ...(unified ? [unified] : [])]);
  return [
    ...[...mounts].map(
      ({ mountPoint: mount }): Step => ({
        op: "remove-cgroup",
        where: "",
        mount,
        path: `${defaultCgroupParent}/pod-${id}`,
      }),
    ),
    ...names.map((name): Step => ({ op: "unpin", where: "", path: join(dir, "ns", name), kind: 1 })),
    { op: "unpin", where: "", path: join(dir, "shm"), kind: 0 },
  ];
}

export const defaultCgroupParent = "/gantry";
