/** `gantry ps`. */

import { isUp } from "../../engine/containers/list.ts";
import { defineCommand } from "../command.ts";
import { containerColumns, labelMethod } from "../container-columns.ts";
import { matchesContainer } from "../container-filter.ts";
import { formatListing, ignoredFormat } from "../format/table.ts";
import { flag, list, text, whole } from "../options.ts";

export const ps = defineCommand({
  name: "ps",
  usage: "[OPTIONS]",
  summary: "List containers",
  options: {
    all: flag("Show all containers (default shows just running)", { short: "a" }),
    filter: list(
      "Filter output: id=, name=, status=, ancestor=, label=KEY[=VALUE], exited=CODE, network=, volume=, before=, since=",
      {
        short: "f",
        value: "filter",
      },
    ),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go TEMPLATE"),
    last: whole("Show n last created containers (includes all states)", { short: "n", min: -1 }),
    latest: flag("Show the latest created container (includes all states)", { short: "l" }),
    "no-trunc": flag("Don't truncate output"),
    quiet: flag("Only display container IDs", { short: "q" }),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [
    ["gantry ps -a", "Every container, also those that have ended"],
    ["gantry ps -aq --filter status=exited", "The ids of those that have ended"],
    ["gantry ps --format '{{.Names}}: {{.Status}}'", "What you want to see of each"],
  ],
  async run(context, { values }) {
    const engine = await context.engine();
    const last = values.latest ? 1 : (values.last ?? -1);
    const wantsAll =
      values.all || last > 0 || values.filter.some((filter) => /^(status|exited)=/.test(filter));
    let containers = await engine.containers({ all: true, signal: context.signal });
    const matches = matchesContainer(values.filter, containers);
    containers = containers.filter((one) => (wantsAll || isUp(one)) && matches(one));
    if (last > 0) containers = containers.slice(0, last);
    const columns = containerColumns({ truncate: !values["no-trunc"], now: new Date() });
    if (values.quiet) {
      if (values.format !== undefined) context.err(ignoredFormat);
      const id = columns.find(({ name }) => name === "ID")!;
      context.out(containers.map((one) => `${id.value(one)}\n`).join(""));
      return 0;
    }
    const standard =
      "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
    context.out(
      formatListing(containers, columns, { format: values.format, standard, methods: labelMethod }),
    );
    return 0;
  },
});
