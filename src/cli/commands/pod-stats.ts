/** `gantry pod stats`. */
import type { ContainerStats } from "../../engine/containers/stats.ts";
import { defineCommand } from "../command.ts";
import { type Column, formatListing } from "../format/table.ts";
import { flag, UsageError } from "../options.ts";
import { statsColumns } from "../stats-columns.ts";
import { printStats, statsOptions } from "../stats-table.ts";

/** podman's, which shortens the ids of both. */
const standard =
  "{{.Pod}}\t{{.CID}}\t{{.Name}}\t{{.CPU}}\t{{.MemUsage}}\t{{.Mem}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDS}}";
/** podman's names of the columns of docker. */
const names: Readonly<Record<string, string>> = { ID: "CID", CPUPerc: "CPU", MemPerc: "Mem", PIDs: "PIDS" };
const headings: Readonly<Record<string, string>> = {
  ...{ CID: "CID", NetIO: "NET IO", BlockIO: "BLOCK IO", MemUsage: "MEM USAGE/ LIMIT" },
};

export const podStats = defineCommand({
  name: "pod stats",
  usage: "[OPTIONS] [POD...]",
  summary: "Display a live stream of resource usage of the containers of one or more pods",
  options: {
    ...statsOptions,
    all: flag("Of all pods, also those that are stopped", { short: "a" }),
    "no-reset": flag("Accepted: templates and JSON never clear the screen", { hidden: true }),
  },
  minArguments: 0,
  examples: [
    ["gantry pod stats", "The containers of all pods that run, every second, until you interrupt"],
    ["gantry pod stats --no-stream web", "Once, of one pod"],
  ],
  async run(context, { values, positionals }) {
    if (values.all && positionals.length > 0) throw new UsageError("--all takes no names of pods");
    const engine = await context.engine();
    const { signal } = context;
    const podOf = new Map<string, string>();
    const choose = async () => {
      const chosen = await Promise.all(positionals.map((name) => engine.pod(name, { signal })));
      const ids = new Set(chosen.map(({ id }) => id));
      const pods = (await engine.pods({ signal })).filter(({ record, state }) =>
        positionals.length > 0 ? ids.has(record.id) : values.all || state.kind === "ready",
      );
      const containers = pods.flatMap((pod) => pod.containers.map((one) => ({ ...one, pod: pod.record.id })));
      for (const { id, pod } of containers) podOf.set(id, pod);
      const shown = containers.filter(
        ({ status }) => values.all || status === "running" || status === "paused",
      );
      return await Promise.all(shown.map(({ id }) => engine.container(id, { signal })));
    };
    const truncate = !values["no-trunc"];
    const podColumn: Column<ContainerStats> = {
      name: "Pod",
      heading: "POD",
      value: ({ id }) => (truncate ? podOf.get(id)?.slice(0, 12) : podOf.get(id)) ?? "",
    };
    const columns = statsColumns({ truncate }).map((column): Column<ContainerStats> => {
      const name = names[column.name] ?? column.name;
      return { ...column, name, heading: headings[name] ?? column.heading };
    });
    return await printStats(context, values, choose, (rows) =>
      formatListing(rows, [podColumn, ...columns], { format: values.format, standard }),
    );
  },
});
