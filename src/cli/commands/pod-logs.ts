/** `gantry pod logs`. */
import { defineCommand } from "../command.ts";
import { fixedTime, logOptions, logRange, printLog, tailOption } from "../log-lines.ts";
import { flag, list } from "../options.ts";

export const podLogs = defineCommand({
  name: "pod logs",
  usage: "[OPTIONS] POD",
  summary: "Fetch the logs of the containers of a pod",
  about: "Each line stands behind the id of the container that has printed it.",
  options: {
    ...logOptions,
    tail: tailOption(),
    container: list("Only of the container with this name or id", { short: "c", value: "container" }),
    names: flag("Put the names of the containers before the lines", { short: "n" }),
  },
  minArguments: 1,
  maxArguments: 1,
  examples: [
    ["gantry pod logs -f --names web", "What they have printed, and what they go on to print"],
    ["gantry pod logs --tail 5 -c db web", "The last five lines of one of them"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const pod = await engine.pod(positionals[0]!, { signal: context.signal });
    const containers = values.container.length > 0 ? values.container : undefined;
    const entries = pod.logs({ ...logRange(values, context.signal), containers });
    await printLog(context, entries, ({ container, time }) => {
      const who = values.names ? container.name : container.id.slice(0, 12);
      return `${who} ${values.timestamps ? `${fixedTime(time)} ` : ""}`;
    });
    return 0;
  },
});
