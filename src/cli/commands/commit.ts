/** `gantry commit`. */
import { defineCommand } from "../command.ts";
import { parseChanges } from "../import-changes.ts";
import { flag, list, text } from "../options.ts";

export const commit = defineCommand({
  name: "commit",
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  summary: "Create a new image from a container's changes",
  options: {
    author: text('Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', { short: "a" }),
    change: list("Apply Dockerfile instruction to the created image", { short: "c" }),
    message: text("Commit message", { short: "m" }),
    pause: flag("Pause container during commit (default true)", { short: "p", fallback: true }),
    "no-pause": flag("Disable pausing container during commit"),
  },
  minArguments: 1,
  maxArguments: 2,
  examples: [
    ["gantry commit -m 'with vim' work mine:1", "What it has changed becomes a layer"],
    ["gantry commit -c 'CMD [\"serve\"]' -c 'ENV A=1' work mine:2", "With other defaults"],
  ],
  async run(context, { values, positionals }) {
    const [name = "", reference] = positionals;
    const execution = parseChanges(values.change);
    const engine = await context.engine();
    const container = await engine.container(name, { signal: context.signal });
    const image = await container.commit({
      ...(reference === undefined ? {} : { name: reference }),
      ...(values.author === undefined ? {} : { author: values.author }),
      ...(values.message === undefined ? {} : { message: values.message }),
      execution,
      pause: values.pause && !values["no-pause"],
      signal: context.signal,
    });
    context.out(`${image.id}\n`);
    return 0;
  },
});
