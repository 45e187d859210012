/** `gantry restart`. */
import { defineCommand } from "../command.ts";
import { forEachContainer } from "../each.ts";
import { stopChoice, stopOptions } from "../stop-options.ts";

export const restart = defineCommand({
  name: "restart",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Restart one or more containers",
  options: stopOptions,
  minArguments: 1,
  examples: [["gantry restart -t 1 web", "Kill it if it does not end within a second"]],
  run: async (context, { values, positionals }) =>
    await forEachContainer(
      context,
      positionals,
      async (container, options) => await container.restart({ ...stopChoice(values), ...options }),
    ),
});
