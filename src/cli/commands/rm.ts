/** `gantry rm`. */
import { isGantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";
import { flag } from "../options.ts";

export const rm = defineCommand({
  name: "rm",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Remove one or more containers",
  options: {
    force: flag("Force the removal of a running container (uses SIGKILL)", { short: "f" }),
    volumes: flag("Remove anonymous volumes associated with the container", { short: "v" }),
  },
  minArguments: 1,
  examples: [
    ["gantry rm -f web", "Kill and remove a container"],
    ["gantry rm $(gantry ps -aq --filter status=exited)", "Remove all that have ended"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    return await forEachName(context, positionals, async (name) => {
      try {
        const container = await engine.container(name, { signal: context.signal });
        await container.remove({ force: values.force, volumes: values.volumes, signal: context.signal });
      } catch (error) {
        if (values.force && isGantryError(error, "not-found")) {
          context.err(`gantry: ${error.message}\n`);
          return undefined;
        }
        throw error;
      }
      return name;
    });
  },
});
