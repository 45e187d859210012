/** `gantry volume prune`. */
import { defineCommand } from "../command.ts";
import { confirm } from "../confirm.ts";
import { humanSize } from "../format/units.ts";
import { flag, list, UsageError } from "../options.ts";
import { prunedVolumes } from "../volume-columns.ts";

export const volumePrune = defineCommand({
  name: "volume prune",
  usage: "[OPTIONS]",
  summary: "Remove unused local volumes",
  options: {
    all: flag("Remove all unused volumes, not just anonymous ones", { short: "a" }),
    filter: list("Provide filter values: label=KEY[=VALUE], label!=KEY[=VALUE], all=1", { value: "filter" }),
    force: flag("Do not prompt for confirmation", { short: "f" }),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry volume prune -af", "All that no container holds"]],
  async run(context, { values }) {
    const asked = prunedVolumes(values.filter);
    if (values.all && values.filter.some((filter) => filter.startsWith("all=")))
      throw new UsageError("conflicting options: cannot specify both --all and --filter all=1");
    const all = values.all || asked.all;
    const which = all ? "all volumes" : "anonymous local volumes";
    if (
      !values.force &&
      !(await confirm(context, `WARNING! This will remove ${which} not used by at least one container.`))
    )
      return 1;
    const engine = await context.engine();
    const { names, reclaimedBytes } = await engine.pruneVolumes({
      all,
      matches: asked.matches,
      signal: context.signal,
    });
    if (names.length > 0) context.out(`Deleted Volumes:\n${names.map((name) => `${name}\n`).join("")}\n`);
    context.out(`Total reclaimed space: ${humanSize(reclaimedBytes)}\n`);
    return 0;
  },
});
