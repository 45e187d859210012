/** `gantry images`. */
import { defineCommand } from "../command.ts";
import { formatListing, ignoredFormat } from "../format/table.ts";
import { imageColumns, imageRows } from "../image-columns.ts";
import { matchesImage } from "../image-filter.ts";
import { flag, list, text } from "../options.ts";

export const images = defineCommand({
  name: "images",
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  summary: "List images",
  options: {
    all: flag("Accepted: there are no intermediate images to hide", { short: "a" }),
    digests: flag("Show digests"),
    filter: list("Filter output: dangling=, reference=PATTERN, label=KEY[=VALUE]", {
      short: "f",
      value: "filter",
    }),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go TEMPLATE"),
    "no-trunc": flag("Don't truncate output"),
    quiet: flag("Only show image IDs", { short: "q" }),
  },
  minArguments: 0,
  maxArguments: 1,
  examples: [
    ["gantry images", "Every image with its names"],
    ["gantry images --format '{{.Repository}}:{{.Tag}} {{.Size}}'", "What you want to see of each"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const filters = [...values.filter, ...positionals.map((name) => `reference=${name}`)];
    const rows = imageRows(await engine.images({ signal: context.signal })).filter(matchesImage(filters));
    const columns = imageColumns({ truncate: !values["no-trunc"], now: new Date() });
    if (values.quiet) {
      if (values.format !== undefined) context.err(ignoredFormat);
      const id = columns.find(({ name }) => name === "ID")!;
      context.out([...new Set(rows.map((row) => id.value(row)))].map((each) => `${each}\n`).join(""));
      return 0;
    }
    const digests = values.digests ? "{{.Digest}}\t" : "";
    const standard = `{{.Repository}}\t{{.Tag}}\t${digests}{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`;
    context.out(formatListing(rows, columns, { format: values.format, standard }));
    return 0;
  },
});
