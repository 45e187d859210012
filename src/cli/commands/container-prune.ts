/** `gantry container prune`. */
import { defineCommand } from "../command.ts";
import { confirm } from "../confirm.ts";
import { humanSize } from "../format/units.ts";
import { flag } from "../options.ts";
import { parsePruneFilter, pruneFilterOption } from "../prune-filter.ts";

export const containerPrune = defineCommand({
  name: "container prune",
  usage: "[OPTIONS]",
  summary: "Remove all stopped containers",
  options: {
    filter: pruneFilterOption,
    force: flag("Do not prompt for confirmation", { short: "f" }),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry container prune -f --filter until=24h", "Those that were made more than a day ago"]],
  async run(context, { values }) {
    const filter = parsePruneFilter(values.filter);
    if (!values.force && !(await confirm(context, "WARNING! This will remove all stopped containers.")))
      return 0;
    const engine = await context.engine();
    const { deleted, freedBytes } = await engine.pruneContainers({ ...filter, signal: context.signal });
    if (deleted.length > 0) context.out(`Deleted Containers:\n${deleted.join("\n")}\n\n`);
    context.out(`Total reclaimed space: ${humanSize(freedBytes)}\n`);
    return 0;
  },
});
