/** `gantry pod top`. */
import { defineCommand } from "../command.ts";
import { printProcesses } from "./top.ts";

export const podTop = defineCommand({
  name: "pod top",
  usage: "POD [ps OPTIONS]",
  summary: "Display the running processes of the containers of a pod",
  options: {},
  stopsAtFirstArgument: true,
  minArguments: 1,
  examples: [
    ["gantry pod top web", "As ps -ef shows them"],
    ["gantry pod top web -o pid,pidns,args", "With columns of your own; PID must be one"],
  ],
  async run(context, { positionals }) {
    const [name = "", ...psOptions] = positionals;
    const engine = await context.engine();
    const pod = await engine.pod(name, { signal: context.signal });
    printProcesses(context, await pod.top(psOptions));
    return 0;
  },
});
