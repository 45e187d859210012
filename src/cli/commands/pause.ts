/** `gantry pause`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";

export const pause = defineCommand({
  name: "pause",
  usage: "CONTAINER [CONTAINER...]",
  summary: "Pause all processes within one or more containers",
  options: {},
  minArguments: 1,
  examples: [["gantry pause web", "It stands still, with everything that it has open"]],
  async run(context, { positionals }) {
    const engine = await context.engine();
    return await forEachName(context, positionals, async (name) => {
      const container = await engine.container(name, { signal: context.signal });
      await container.pause({ signal: context.signal });
      return name;
    });
  },
});
