/** `gantry pod pause` and `gantry pod unpause`. */
import { defineCommand } from "../command.ts";
import { allPods, forEachPod } from "../pod-options.ts";

export const podPause = defineCommand({
  name: "pod pause",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Pause the containers of one or more pods",
  options: { all: allPods("Pause") },
  minArguments: 0,
  examples: [["gantry pod pause web", "Stop every process of its containers in its tracks"]],
  run: async (context, { values, positionals }) =>
    await forEachPod(
      context,
      positionals,
      values,
      async (pod) => await pod.pause({ signal: context.signal }),
    ),
});

export const podUnpause = defineCommand({
  name: "pod unpause",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Unpause the containers of one or more pods",
  options: { all: allPods("Unpause") },
  minArguments: 0,
  examples: [["gantry pod unpause web", "Let them go on"]],
  run: async (context, { values, positionals }) =>
    await forEachPod(
      context,
      positionals,
      values,
      async (pod) => await pod.unpause({ signal: context.signal }),
    ),
});
