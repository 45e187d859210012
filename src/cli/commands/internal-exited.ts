/**
 * `gantry internal exited`: what a shim starts when its container has ended and something is left to decide: with --rm
 * the removal, with a restart policy whether and when it is started again. Where nobody keeps the store, this process
 * does until there is nothing to do.
 */
import { isGantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";

export const internalExited = defineCommand({
  name: "internal exited",
  usage: "ID",
  summary: "Decide what follows on the end of a container (started by its shim)",
  options: {},
  minArguments: 1,
  maxArguments: 1,
  examples: [],
  async run(context, { positionals }) {
    const engine = await context.engine();
    try {
      const container = await engine.container(positionals[0]!, { signal: context.signal });
      const { restarts } = await container.settle({ signal: context.signal });
      if (restarts) await engine.keep({ onDemand: true, signal: context.signal });
    } catch (error) {
      if (!isGantryError(error, "not-found")) throw error;
    }
    return 0;
  },
});
