/** `gantry image prune`. */
import type { PrunedImages } from "../../engine/system/prune.ts";
import { defineCommand } from "../command.ts";
import { confirm } from "../confirm.ts";
import { humanSize } from "../format/units.ts";
import { flag } from "../options.ts";
import { parsePruneFilter, pruneFilterOption } from "../prune-filter.ts";

export const imagePrune = defineCommand({
  name: "image prune",
  usage: "[OPTIONS]",
  summary: "Remove unused images",
  options: {
    all: flag("Remove all unused images, not just dangling ones", { short: "a" }),
    filter: pruneFilterOption,
    force: flag("Do not prompt for confirmation", { short: "f" }),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry image prune -a --filter until=240h", "Images without containers, older than ten days"]],
  async run(context, { values }) {
    let { all } = values;
    const filter = parsePruneFilter(values.filter, (key, value) => {
      if (key !== "dangling" || !/^(true|false|1|0)$/.test(value)) return false;
      all ||= value === "false" || value === "0";
      return true;
    });
    const warning = all
      ? "WARNING! This will remove all images without at least one container associated to them."
      : "WARNING! This will remove all dangling images.";
    if (!values.force && !(await confirm(context, warning))) return 0;
    const engine = await context.engine();
    const pruned = await engine.pruneImages({ ...filter, all, signal: context.signal });
    context.out(`${deletedImages(pruned)}Total reclaimed space: ${humanSize(pruned.freedBytes)}\n`);
    return 0;
  },
});

/** docker's list of what is gone, with an empty line after it. */
export function deletedImages({ untagged, deleted }: PrunedImages): string {
  const lines = [...untagged.map((name) => `untagged: ${name}`), ...deleted.map((id) => `deleted: ${id}`)];
  return lines.length > 0 ? `Deleted Images:\n${lines.join("\n")}\n\n` : "";
}
