/** `gantry update`. */
import { defineCommand } from "../command.ts";
import { forEachContainer } from "../each.ts";
import { parsed } from "../options.ts";
import { limitOptions, resourceRequest } from "../run-options/limit-table.ts";
import { parseRestart } from "../run-options/table.ts";

export const update = defineCommand({
  name: "update",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Update configuration of one or more containers",
  options: {
    ...limitOptions,
    restart: parsed("Restart policy to apply when a container exits", "string", parseRestart),
  },
  minArguments: 1,
  about: "What runs gets the new limits at once; they hold for every later start as well.",
  examples: [
    ["gantry update -m 512m --memory-swap 1g web", "More memory"],
    ["gantry update --cpus 0.5 --pids-limit 100 web db", "Two containers"],
  ],
  async run(context, { values, positionals }) {
    const { restart } = values;
    const changes = { ...resourceRequest(values), ...(restart ? { restartPolicy: restart } : {}) };
    return await forEachContainer(
      context,
      positionals,
      async (container, options) => await container.update(changes, options),
    );
  },
});
