/** `gantry stats`. */
import type { ContainerStats } from "../../engine/containers/stats.ts";
import type { Engine } from "../../engine/engine.ts";
import { defineCommand } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { messageOf } from "../error-text.ts";
import { formatListing } from "../format/table.ts";
import { flag, text } from "../options.ts";
import { statsColumns } from "../stats-columns.ts";

/** How often the table is printed anew. */
const redrawMs = 1000;
/** To the top of the screen, and nothing below. */
const clearScreen = "\x1b[H\x1b[J";

export const stats = defineCommand({
  name: "stats",
  usage: "[OPTIONS] [CONTAINER...]",
  summary: "Display a live stream of container(s) resource usage statistics",
  options: {
    all: flag("Show all containers (default shows just running)", { short: "a" }),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go TEMPLATE"),
    "no-stream": flag("Disable streaming stats and only pull the first result"),
    "no-trunc": flag("Do not truncate output"),
  },
  minArguments: 0,
  examples: [
    ["gantry stats", "All that run, every second, until you interrupt"],
    ["gantry stats --no-stream --format '{{.Name}}: {{.CPUPerc}} {{.MemUsage}}' web", "Once"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const columns = statsColumns({ truncate: !values["no-trunc"] });
    const print = (rows: readonly ContainerStats[]) =>
      formatListing(rows, columns, {
        format: values.format,
        standard:
          "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
      });
    const table = new StatsTable(engine, context, values.all, positionals);
    if (values["no-stream"]) {
      context.out(print(await table.once()));
      return table.status;
    }
    // escape sequences are of no use to who reads lines or JSON
    const clears = values.format === undefined || values.format.startsWith("table");
    for await (const rows of table.stream()) {
      context.out((clears ? clearScreen : "") + print(rows));
      if (context.closed) break;
    }
    return table.status;
  },
});

/** The latest sample of each container that is asked for; which those are is looked up anew for each print. */
class StatsTable {
  status = 0;
  readonly #engine: Engine;
  readonly #context: CommandContext;
  readonly #all: boolean;
  readonly #names: readonly string[];

  constructor(engine: Engine, context: CommandContext, all: boolean, names: readonly string[]) {
    this.#engine = engine;
    this.#context = context;
    this.#all = all;
    this.#names = names;
  }

  async #containers() {
    const { signal } = this.#context;
    if (this.#names.length === 0) {
      const listed = await this.#engine.containers({ all: this.#all, signal });
      return await Promise.all(listed.map(({ id }) => this.#engine.container(id, { signal })));
    }
    return await Promise.all(this.#names.map((name) => this.#engine.container(name, { signal })));
  }

  async once(): Promise<readonly ContainerStats[]> {
    const { signal } = this.#context;
    const samples = (await this.#containers()).map(async (container) => {
      try {
        for await (const sample of container.stats({ stream: false, signal })) return sample;
      } catch (error) {
        if (signal.aborted) throw error;
        this.#context.err(`gantry: ${messageOf(error)}\n`);
        this.status = 1;
      }
      return undefined;
    });
    return (await Promise.all(samples)).filter((sample) => sample !== undefined);
  }

  async *stream(): AsyncGenerator<readonly ContainerStats[]> {
    const { signal } = this.#context;
    const readers = new Map<string, AsyncIterator<ContainerStats>>();
    for (;;) {
      const containers = await this.#containers();
      const rows: (ContainerStats | undefined)[] = await Promise.all(
        containers.map(async (container) => {
          const known = readers.get(container.id);
          const reader = known ?? container.stats({ intervalMs: redrawMs, signal })[Symbol.asyncIterator]();
          readers.set(container.id, reader);
          const { done, value } = await reader.next();
          if (!done) return value;
          // it has ended: a further look shows whether it is to be had again
          readers.delete(container.id);
          return undefined;
        }),
      );
      yield rows.filter((row) => row !== undefined);
      // nobody to wait for: the next look at who runs comes after the same time
      if (containers.length === 0) await new Promise((later) => setTimeout(later, redrawMs));
      signal.throwIfAborted();
    }
  }
}
