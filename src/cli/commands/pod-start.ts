/** `gantry pod start` and `gantry pod restart`. */
import type { Pod } from "../../engine/pods/pod.ts";
import { defineCommand } from "../command.ts";
import { allPods, forEachPod } from "../pod-options.ts";

export const podStart = defineCommand({
  name: "pod start",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Start one or more pods and their containers",
  options: { all: allPods("Start") },
  minArguments: 0,
  examples: [["gantry pod start web", "Start the pod, and every container in it that does not run"]],
  run: async (context, { values, positionals }) =>
    await forEachPod(context, positionals, values, async (pod) => await startAll(pod, context.signal)),
});

export const podRestart = defineCommand({
  name: "pod restart",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Restart one or more pods",
  options: { all: allPods("Restart") },
  minArguments: 0,
  examples: [["gantry pod restart web", "Stop and start the pod with its containers"]],
  run: async (context, { values, positionals }) =>
    await forEachPod(context, positionals, values, async (pod) => {
      await pod.stop({ signal: context.signal });
      await startAll(pod, context.signal);
    }),
});

async function startAll(pod: Pod, signal: AbortSignal): Promise<void> {
  await pod.start({ signal });
  const { containers } = await pod.inspect({ signal });
  const resting = new Set(
    containers.filter(({ status }) => status === "created" || status === "exited").map(({ id }) => id),
  );
  const failures: unknown[] = [];
  for (const container of await pod.containers({ signal })) {
    if (!resting.has(container.id)) continue;
    try {
      await container.start({ attach: false, signal });
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `start pod "${pod.name}"`);
}
