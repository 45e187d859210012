/** `gantry internal reap`: what a shim starts when a container with --rm has ended and nobody else is there to know. */
import { isGantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";

export const internalReap = defineCommand({
  name: "internal reap",
  usage: "ID",
  summary: "Remove an ended container (started by its shim)",
  options: {},
  minArguments: 1,
  maxArguments: 1,
  examples: [],
  async run(context, { positionals }) {
    const engine = await context.engine();
    try {
      const container = await engine.container(positionals[0]!, { signal: context.signal });
      // the end is taken over, and with it comes the removal
      await container.wait({ signal: context.signal });
    } catch (error) {
      if (!isGantryError(error, "not-found")) throw error;
    }
    return 0;
  },
});
