/** `gantry pod exists`. */
import { isGantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";

export const podExists = defineCommand({
  name: "pod exists",
  usage: "POD",
  summary: "Check if a pod exists: exit status 0 or 1",
  options: {},
  minArguments: 1,
  maxArguments: 1,
  examples: [["gantry pod exists web || gantry pod create web", "Make it if it is not there"]],
  async run(context, { positionals }) {
    try {
      const engine = await context.engine();
      await engine.pod(positionals[0]!, { signal: context.signal });
      return 0;
    } catch (error) {
      if (!isGantryError(error, "not-found")) throw error;
      return 1;
    }
  },
});
