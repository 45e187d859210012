/** `gantry wait`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";

export const wait = defineCommand({
  name: "wait",
  usage: "CONTAINER [CONTAINER...]",
  summary: "Block until one or more containers stop, then print their exit codes",
  options: {},
  minArguments: 1,
  examples: [["gantry wait job", "Prints the exit code of the container when it has ended"]],
  async run(context, { positionals }) {
    const engine = await context.engine();
    return await forEachName(context, positionals, async (name) => {
      const container = await engine.container(name, { signal: context.signal });
      return String(await container.wait({ signal: context.signal }));
    });
  },
});
