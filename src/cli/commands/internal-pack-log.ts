/** `gantry internal pack-log`: what a shim starts when it has turned a log over that is to be compressed. */
import { defineCommand } from "../command.ts";

export const internalPackLog = defineCommand({
  name: "internal pack-log",
  usage: "ID",
  summary: "Compress the rotated log files of a container (started by its shim)",
  options: {},
  minArguments: 1,
  maxArguments: 1,
  examples: [],
  async run(context, { positionals }) {
    const engine = await context.engine();
    await (await engine.container(positionals[0]!, { signal: context.signal })).packLog();
    return 0;
  },
});
