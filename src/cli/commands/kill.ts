/** `gantry kill`. */
import { defineCommand } from "../command.ts";
import { forEachContainer } from "../each.ts";
import { text } from "../options.ts";

export const kill = defineCommand({
  name: "kill",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Kill one or more running containers",
  options: {
    signal: text("Signal to send to the container (default KILL)", { short: "s" }),
  },
  minArguments: 1,
  examples: [
    ["gantry kill web", "End it at once"],
    ["gantry kill -s HUP web", "Let it read its configuration again"],
  ],
  run: async (context, { values, positionals }) =>
    await forEachContainer(
      context,
      positionals,
      async (container, options) => await container.kill(values.signal ?? "KILL", options),
    ),
});
