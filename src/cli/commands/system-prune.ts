/** `gantry system prune`. */
import { GantryError } from "../../base/error.ts";
import type { Engine } from "../../engine/engine.ts";
import { isPruned, type PruneFilter } from "../../engine/system/prune-filter.ts";
import type { PrunedVolumes } from "../../engine/volumes/volumes.ts";
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
    volumes: flag("Prune anonymous volumes"),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry system prune -af", "All that nothing runs with, without being asked"]],
  async run(context, { values }) {
    const filter = parsePruneFilter(values.filter);
    const { all, force } = values;
    // docker's words: a volume is not of no use because it was made long ago
    if (values.volumes && filter.until !== undefined)
      throw new GantryError(
        "invalid-argument",
        'ERROR: The "until" filter is not supported with "--volumes"',
      );
    const kinds = [
      "all stopped containers",
      "all stopped pods",
      ...(values.volumes ? ["all anonymous volumes not used by at least one container"] : []),
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
    const volumes = values.volumes ? await pruneVolumes(engine, filter, context.signal) : noVolumes;
    const images = await engine.pruneImages({ ...options, all });
    const part = (title: string, lines: readonly string[]) =>
      lines.length > 0 ? `${title}:\n${lines.join("\n")}\n\n` : "";
    context.out(part("Deleted Containers", containers.deleted));
    context.out(part("Deleted Pods", pods.deleted));
    context.out(part("Deleted Volumes", volumes.names));
    context.out(deletedImages(images));
    const freed = containers.freedBytes + volumes.reclaimedBytes + images.freedBytes;
    context.out(`Total reclaimed space: ${humanSize(freed)}\n`);
    return 0;
  },
});

const noVolumes: PrunedVolumes = { names: [], reclaimedBytes: 0 };

async function pruneVolumes(
  engine: Engine,
  filter: PruneFilter,
  signal: AbortSignal,
): Promise<PrunedVolumes> {
  return await engine.pruneVolumes({ matches: (volume) => isPruned(filter, volume), signal });
}
