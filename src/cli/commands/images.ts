/** `gantry images`. */
import { defineCommand } from "../command.ts";
import { formatListing } from "../format/table.ts";
import { type ImageRow, imageColumns, imageRows } from "../image-columns.ts";
import { flag, list, text, UsageError } from "../options.ts";

/** `*` within a path component, as docker's reference patterns. */
function glob(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", "[^/]*").replaceAll("?", "[^/]")}$`);
}

function matches(filters: readonly string[]): (row: ImageRow) => boolean {
  const tests = filters.map((filter) => {
    const equals = filter.indexOf("=");
    const [key, value] = [filter.slice(0, Math.max(equals, 0)), filter.slice(equals + 1)];
    switch (key) {
      case "dangling":
        return (row: ImageRow) => (row.tag === "<none>") === /^(1|true|t)$/i.test(value);
      case "reference": {
        const pattern = glob(value);
        return (row: ImageRow) =>
          pattern.test(`${row.repository}:${row.tag}`) || pattern.test(row.repository);
      }
      case "label": {
        const at = value.indexOf("=");
        const name = at < 0 ? value : value.slice(0, at);
        return (row: ImageRow) => {
          const labels = row.image.imageConfig.config?.Labels ?? {};
          return Object.hasOwn(labels, name) && (at < 0 || labels[name] === value.slice(at + 1));
        };
      }
      default:
        throw new UsageError(`invalid filter '${key || filter}'`);
    }
  });
  return (row) => tests.every((test) => test(row));
}

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
    const rows = imageRows(await engine.images({ signal: context.signal })).filter(matches(filters));
    const columns = imageColumns({ truncate: !values["no-trunc"], now: new Date() });
    if (values.quiet && values.format === undefined) {
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
