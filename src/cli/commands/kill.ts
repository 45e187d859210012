/** `gantry kill`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";
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
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    return await forEachName(context, positionals, async (name) => {
      const container = await engine.container(name, { signal: context.signal });
      await container.kill(values.signal ?? "KILL", { signal: context.signal });
      return name;
    });
  },
});
