/** `gantry pod start`, `stop`, `restart`, `kill`, `pause`, `unpause` and `rm`. */
import { flag, text } from "../options.ts";
import { allPods, ignoreMissing, podCommand, stopTime, stopTimeout } from "../pod-options.ts";

export const podStart = podCommand({
  name: "pod start",
  summary: "Start one or more pods and their containers",
  options: { all: allPods("Start") },
  examples: [["gantry pod start web", "Start the pod, and every container in it that does not run"]],
  act: async (pod, _, options) => await pod.startAll(options),
});

export const podStop = podCommand({
  name: "pod stop",
  summary: "Stop one or more pods",
  about: "Stops every container of the pod, then takes away what the pod holds.",
  options: { all: allPods("Stop"), ignore: ignoreMissing, time: stopTime },
  examples: [["gantry pod stop -t 1 web", "One second for its containers"]],
  act: async (pod, { time }, options) => await pod.stop({ ...stopTimeout(time), ...options }),
});

export const podRestart = podCommand({
  name: "pod restart",
  summary: "Restart one or more pods",
  options: { all: allPods("Restart") },
  examples: [["gantry pod restart web", "Stop and start the pod with its containers"]],
  act: async (pod, _, options) => await pod.restart(options),
});

export const podKill = podCommand({
  name: "pod kill",
  summary: "Send a signal to the containers of one or more pods",
  options: {
    all: allPods("Kill the containers of"),
    signal: text("Signal to send (default KILL)", { short: "s" }),
  },
  examples: [["gantry pod kill -s HUP web", "To each of its containers that runs"]],
  act: async (pod, { signal }, options) => await pod.kill(signal ?? "KILL", options),
});

export const podPause = podCommand({
  name: "pod pause",
  summary: "Pause the containers of one or more pods",
  options: { all: allPods("Pause") },
  examples: [["gantry pod pause web", "Stop every process of its containers in its tracks"]],
  act: async (pod, _, options) => await pod.pause(options),
});

export const podUnpause = podCommand({
  name: "pod unpause",
  summary: "Unpause the containers of one or more pods",
  options: { all: allPods("Unpause") },
  examples: [["gantry pod unpause web", "Let them go on"]],
  act: async (pod, _, options) => await pod.unpause(options),
});

export const podRm = podCommand({
  name: "pod rm",
  summary: "Remove one or more pods and their containers",
  options: {
    all: allPods("Remove"),
    force: flag("Stop and remove a pod whose containers run", { short: "f" }),
    ignore: ignoreMissing,
    time: stopTime,
  },
  examples: [["gantry pod rm -f web", "Stop and remove a pod with all that is in it"]],
  act: async (pod, { force, time }, options) => await pod.remove({ force, ...stopTimeout(time), ...options }),
});
