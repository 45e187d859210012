/** `gantry pod rm` and `gantry pod prune`. */
import { defineCommand } from "../command.ts";
import { confirm } from "../confirm.ts";
import { forEachName } from "../each.ts";
import { flag } from "../options.ts";
import { allPods, forEachPod, ignoreMissing, stopTime } from "../pod-options.ts";

export const podRm = defineCommand({
  name: "pod rm",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Remove one or more pods and their containers",
  options: {
    all: allPods("Remove"),
    force: flag("Stop and remove a pod whose containers run", { short: "f" }),
    ignore: ignoreMissing,
    time: stopTime,
  },
  minArguments: 0,
  examples: [["gantry pod rm -f web", "Stop and remove a pod with all that is in it"]],
  run: async (context, { values, positionals }) =>
    await forEachPod(context, positionals, values, async (pod) => {
      const { time, force } = values;
      const timeout = time === undefined ? {} : { timeoutSeconds: time };
      await pod.remove({ force, ...timeout, signal: context.signal });
    }),
});

export const podPrune = defineCommand({
  name: "pod prune",
  usage: "[OPTIONS]",
  summary: "Remove all stopped pods and their containers",
  options: { force: flag("Do not prompt for confirmation", { short: "f" }) },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry pod prune -f", "Without being asked"]],
  async run(context, { values }) {
    if (!values.force && !(await confirm(context, "WARNING! This will remove all stopped/exited pods..")))
      return 0;
    const engine = await context.engine();
    const { signal } = context;
    const stopped = (await engine.pods({ signal })).filter(({ status }) => status === "exited");
    const ids = stopped.map(({ record }) => record.id);
    return await forEachName(context, ids, async (id) => {
      await (await engine.pod(id, { signal })).remove({ signal });
      return id;
    });
  },
});
