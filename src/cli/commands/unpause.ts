/** `gantry unpause`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";

export const unpause = defineCommand({
  name: "unpause",
  usage: "CONTAINER [CONTAINER...]",
  summary: "Unpause all processes within one or more containers",
  options: {},
  minArguments: 1,
  examples: [["gantry unpause web", "It goes on where it was"]],
  async run(context, { positionals }) {
    const engine = await context.engine();
    return await forEachName(context, positionals, async (name) => {
      const container = await engine.container(name, { signal: context.signal });
      await container.unpause({ signal: context.signal });
      return name;
    });
  },
});
