/** `gantry unpause`. */
import { defineCommand } from "../command.ts";
import { forEachContainer } from "../each.ts";

export const unpause = defineCommand({
  name: "unpause",
  usage: "CONTAINER [CONTAINER...]",
  summary: "Unpause all processes within one or more containers",
  options: {},
  minArguments: 1,
  examples: [["gantry unpause web", "It goes on where it was"]],
  run: async (context, { positionals }) =>
    await forEachContainer(
      context,
      positionals,
      async (container, options) => await container.unpause(options),
    ),
});
