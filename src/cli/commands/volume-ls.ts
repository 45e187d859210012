/** `gantry volume ls`. */
import { defineCommand } from "../command.ts";
import { formatListing, ignoredFormat } from "../format/table.ts";
import { flag, list, text } from "../options.ts";
import { matchesVolume, volumeColumns, volumeLabelMethod } from "../volume-columns.ts";

export const volumeLs = defineCommand({
  name: "volume ls",
  usage: "[OPTIONS]",
  summary: "List volumes",
  options: {
    filter: list("Filter output: dangling=, driver=, label=KEY[=VALUE], name=", {
      short: "f",
      value: "filter",
    }),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go TEMPLATE"),
    quiet: flag("Only display volume names", { short: "q" }),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry volume ls -q --filter dangling=true", "Those that no container holds"]],
  async run(context, { values }) {
    const engine = await context.engine();
    const volumes = (await engine.volumes({ signal: context.signal })).filter(matchesVolume(values.filter));
    if (values.quiet) {
      if (values.format !== undefined) context.err(ignoredFormat);
      context.out(volumes.map(({ name }) => `${name}\n`).join(""));
      return 0;
    }
    const { format } = values;
    const standard = "{{.Driver}}\t{{.Name}}";
    context.out(formatListing(volumes, volumeColumns, { format, standard, methods: volumeLabelMethod }));
    return 0;
  },
});
