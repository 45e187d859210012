/** `gantry diff`. */
import { defineCommand } from "../command.ts";
import { sanitize } from "../format/sanitize.ts";
import { text } from "../options.ts";

const letters = { added: "A", changed: "C", deleted: "D" } as const;

export const diff = defineCommand({
  name: "diff",
  usage: "CONTAINER",
  summary: "Inspect changes to files or directories on a container's filesystem",
  options: { format: text("Format output: 'json'", { hidden: true }) },
  minArguments: 1,
  maxArguments: 1,
  examples: [["gantry diff web", "A: added, C: changed, D: deleted"]],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const container = await engine.container(positionals[0]!, { signal: context.signal });
    const changes = await container.changes({ signal: context.signal });
    if (values.format === "json") context.out(`${JSON.stringify(changes)}\n`);
    else context.out(changes.map(({ path, kind }) => `${letters[kind]} ${sanitize(path)}\n`).join(""));
    return 0;
  },
});
