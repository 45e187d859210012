/** `gantry volume rm`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";
import { flag } from "../options.ts";

export const volumeRm = defineCommand({
  name: "volume rm",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Remove one or more volumes",
  options: { force: flag("One that is not there is no mistake", { short: "f" }) },
  minArguments: 1,
  about: "You cannot remove a volume that is in use by a container.",
  examples: [["gantry volume rm data", "With all that is in it"]],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    return await forEachName(context, positionals, async (name) => {
      await engine.removeVolume(name, { force: values.force, signal: context.signal });
      return name;
    });
  },
});
