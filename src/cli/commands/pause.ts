/** `gantry pause`. */
import { defineCommand } from "../command.ts";
import { forEachContainer } from "../each.ts";

export const pause = defineCommand({
  name: "pause",
  usage: "CONTAINER [CONTAINER...]",
  summary: "Pause all processes within one or more containers",
  options: {},
  minArguments: 1,
  examples: [["gantry pause web", "It stands still, with everything that it has open"]],
  run: async (context, { positionals }) =>
    await forEachContainer(
      context,
      positionals,
      async (container, options) => await container.pause(options),
    ),
});
