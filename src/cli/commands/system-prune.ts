/** `gantry system prune`. */
import { defineCommand } from "../command.ts";
import { confirm } from "../confirm.ts";
import { humanSize } from "../format/units.ts";
import { flag } from "../options.ts";
import { parsePruneFilter, pruneFilterOption } from "../prune-filter.ts";
import { deletedImages } from "./image-prune.ts";

export const systemPrune = defineCommand({
  name: "system prune",
  usage: "[OPTIONS]",
  summary: "Remove unused data",
  options: {
    all: flag("Remove all unused images not just dangling ones", { short: "a" }),
    filter: pruneFilterOption,
    force: flag("Do not prompt for confirmation", { short: "f" }),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry system prune -af", "All that nothing runs with, without being asked"]],
  async run(context, { values }) {
    const filter = parsePruneFilter(values.filter);
    const { all, force } = values;
    const kinds = [
      "all stopped containers",
      "all stopped pods",
      all ? "all images without at least one container associated to them" : "all dangling images",
      "downloads and layers that nothing needs any more",
    ];
    const warning = `WARNING! This will remove:\n${kinds.map((kind) => `  - ${kind}\n`).join("")}`;
    const filters = values.filter.map((each) => `  - ${each}\n`).join("");
    const shown =
      filters === "" ? warning : `${warning}\n  Items to be pruned will be filtered with:\n${filters}`;
    if (!force && !(await confirm(context, shown))) return 0;
    const engine = await context.engine();
    const options = { ...filter, signal: context.signal };
    const pods = await engine.prunePods(options);
    const containers = await engine.pruneContainers(options);
    const images = await engine.pruneImages({ ...options, all });
    const part = (title: string, lines: readonly string[]) =>
      lines.length > 0 ? `${title}:\n${lines.join("\n")}\n\n` : "";
    context.out(part("Deleted Containers", containers.deleted));
    context.out(part("Deleted Pods", pods.deleted));
    context.out(deletedImages(images));
    context.out(`Total reclaimed space: ${humanSize(containers.freedBytes + images.freedBytes)}\n`);
    return 0;
  },
});
