/** `gantry rename`. */
import { defineCommand } from "../command.ts";

export const rename = defineCommand({
  name: "rename",
  usage: "CONTAINER NEW_NAME",
  summary: "Rename a container",
  options: {},
  minArguments: 2,
  maxArguments: 2,
  examples: [["gantry rename web web-old", "The host name inside stays as it is"]],
  async run(context, { positionals }) {
    const engine = await context.engine();
    const container = await engine.container(positionals[0]!, { signal: context.signal });
    await container.rename(positionals[1]!, { signal: context.signal });
    return 0;
  },
});
