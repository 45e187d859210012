/** `gantry pod stop` and `gantry pod kill`. */
import { defineCommand } from "../command.ts";
import { text } from "../options.ts";
import { allPods, forEachPod, ignoreMissing, stopTime } from "../pod-options.ts";

export const podStop = defineCommand({
  name: "pod stop",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Stop one or more pods",
  about: "Stops every container of the pod, then takes away what the pod holds.",
  options: { all: allPods("Stop"), ignore: ignoreMissing, time: stopTime },
  minArguments: 0,
  examples: [["gantry pod stop -t 1 web", "One second for its containers"]],
  run: async (context, { values, positionals }) =>
    await forEachPod(context, positionals, values, async (pod) => {
      const { time } = values;
      await pod.stop({ ...(time === undefined ? {} : { timeoutSeconds: time }), signal: context.signal });
    }),
});

export const podKill = defineCommand({
  name: "pod kill",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Send a signal to the containers of one or more pods",
  options: {
    all: allPods("Kill the containers of"),
    signal: text("Signal to send (default KILL)", { short: "s" }),
  },
  minArguments: 0,
  examples: [["gantry pod kill -s HUP web", "To each of its containers that runs"]],
  run: async (context, { values, positionals }) =>
    await forEachPod(context, positionals, values, async (pod) => {
      await pod.kill(values.signal ?? "KILL", { signal: context.signal });
    }),
});
