/** `gantry wait`. */
import type { WaitCondition } from "../../engine/containers/wait-condition.ts";
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";
import { parsed } from "../options.ts";

const conditions: readonly WaitCondition[] = ["not-running", "next-exit", "removed"];

export const wait = defineCommand({
  name: "wait",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Block until one or more containers stop, then print their exit codes",
  options: {
    condition: parsed(
      'What to wait for: not-running, next-exit, removed (default "not-running")',
      "string",
      (given) => {
        const condition = conditions.find((known) => known === given);
        if (!condition) throw new Error(`must be one of ${conditions.join(", ")}`);
        return condition;
      },
    ),
  },
  minArguments: 1,
  examples: [
    ["gantry wait job", "Prints the exit code of the container when it has ended"],
    ["gantry wait --condition next-exit job", "Waits for an end that is still to come"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const { condition } = values;
    return await forEachName(context, positionals, async (name) => {
      const container = await engine.container(name, { signal: context.signal });
      return String(await container.wait({ ...(condition ? { condition } : {}), signal: context.signal }));
    });
  },
});
