/** `gantry pod ps`. */
import { defineCommand } from "../command.ts";
import { formatListing, ignoredFormat } from "../format/table.ts";
import { flag, list, parsed, text } from "../options.ts";
import { type PodRow, podColumns, podJson, sortPods } from "../pod-columns.ts";
import { matchesPod } from "../pod-filter.ts";

const keys = ["created", "id", "name", "number", "status"] as const;

export const podPs = defineCommand({
  name: "pod ps",
  usage: "[OPTIONS]",
  summary: "List pods",
  options: {
    "ctr-ids": flag("Display the container UUIDs. If no-trunc is not set they will be truncated"),
    "ctr-names": flag("Display the container names"),
    "ctr-status": flag("Display the container status"),
    filter: list(
      "Filter output: id=, name=, status=, label=KEY[=VALUE], ctr-ids=, ctr-names=, ctr-status=, ctr-number=, until=",
      { short: "f", value: "filter" },
    ),
    format: text("Format output: 'json', 'table TEMPLATE' or a Go TEMPLATE"),
    latest: flag("Show the latest created pod", { short: "l" }),
    "no-trunc": flag("Do not truncate pod and container IDs"),
    noheading: flag("Do not print headers"),
    ns: flag("Display namespace information of the pod"),
    quiet: flag("Print the IDs of the pods only", { short: "q" }),
    sort: parsed(
      "Sort output by created, id, name, number or status (default created)",
      "string",
      (given) => {
        const key = keys.find((known) => known === given);
        if (!key) throw new Error(`must be one of ${keys.join(", ")}`);
        return key;
      },
    ),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [
    ["gantry pod ps --ctr-names --ctr-status", "Pods with their containers"],
    ["gantry pod ps -q --filter status=exited", "The ids of those that are stopped"],
  ],
  async run(context, { values }) {
    const engine = await context.engine();
    const matches = matchesPod(values.filter);
    const found = (await engine.pods({ signal: context.signal })).filter(matches);
    const pods = sortPods(values.latest ? found.slice(0, 1) : found, values.sort ?? "created");
    const rows: readonly PodRow[] = pods;
    const columns = podColumns({ truncate: !values["no-trunc"], now: new Date() });
    if (values.quiet) {
      if (values.format !== undefined) context.err(ignoredFormat);
      const id = columns.find(({ name }) => name === "Id")!;
      context.out(rows.map((row) => `${id.value(row)}\n`).join(""));
      return 0;
    }
    if (values.format === "json") {
      context.out(`${JSON.stringify(rows.map(podJson), undefined, 2)}\n`);
      return 0;
    }
    const detailed = values["ctr-ids"] || values["ctr-names"] || values["ctr-status"];
    const fields = [
      ...["Id", "Name", "Status", "Created", "InfraId"],
      ...(detailed ? [] : ["NumberOfContainers"]),
      ...(values["ctr-ids"] ? ["ContainerIds"] : []),
      ...(values["ctr-names"] ? ["ContainerNames"] : []),
      ...(values["ctr-status"] ? ["ContainerStatuses"] : []),
      ...(values.ns ? ["Cgroup", "Namespaces"] : []),
    ];
    const standard = fields.map((field) => `{{.${field}}}`).join("\t");
    const listing = formatListing(rows, columns, { format: values.format, standard });
    const isTable = values.format === undefined || values.format.startsWith("table");
    context.out(values.noheading && isTable ? listing.slice(listing.indexOf("\n") + 1) : listing);
    return 0;
  },
});
