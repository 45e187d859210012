/** `gantry stats`. */
import { defineCommand } from "../command.ts";
import { formatListing } from "../format/table.ts";
import { flag } from "../options.ts";
import { statsColumns } from "../stats-columns.ts";
import { printStats, statsOptions } from "../stats-table.ts";

const standard =
  "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

export const stats = defineCommand({
  name: "stats",
  usage: "[OPTIONS] [CONTAINER...]",
  summary: "Display a live stream of container(s) resource usage statistics",
  options: {
    ...statsOptions,
    all: flag("Show all containers (default shows just running)", { short: "a" }),
  },
  minArguments: 0,
  examples: [
    ["gantry stats", "All that run, every second, until you interrupt"],
    ["gantry stats --no-stream --format '{{.Name}}: {{.CPUPerc}} {{.MemUsage}}' web", "Once"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const { signal } = context;
    const columns = statsColumns({ truncate: !values["no-trunc"] });
    const choose = async () => {
      const names =
        positionals.length > 0
          ? positionals
          : (await engine.containers({ all: values.all, signal })).map(({ id }) => id);
      return await Promise.all(names.map((name) => engine.container(name, { signal })));
    };
    return await printStats(context, values, choose, (rows) =>
      formatListing(rows, columns, { format: values.format, standard }),
    );
  },
});
