/** `gantry top`. */
import type { ProcessTable } from "../../engine/containers/top.ts";
import { defineCommand } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { alignColumns } from "../format/table.ts";

export const top = defineCommand({
  name: "top",
  usage: "CONTAINER [ps OPTIONS]",
  summary: "Display the running processes of a container",
  options: {},
  stopsAtFirstArgument: true,
  minArguments: 1,
  examples: [
    ["gantry top web", "As ps -ef shows them"],
    ["gantry top web -o pid,rss,args", "With columns of your own; PID must be one"],
  ],
  async run(context, { positionals }) {
    const [name = "", ...psOptions] = positionals;
    const engine = await context.engine();
    const container = await engine.container(name, { signal: context.signal });
    printProcesses(context, await container.top(psOptions));
    return 0;
  },
});

export function printProcesses(context: CommandContext, { titles, processes }: ProcessTable): void {
  const lines = [titles, ...processes].map((row) => row.join("\t"));
  context.out(alignColumns(lines, 20));
}
