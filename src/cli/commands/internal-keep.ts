/** `gantry internal keep`: what the shim of a container with health checks starts, for somebody to make them. */
import { defineCommand } from "../command.ts";

export const internalKeep = defineCommand({
  name: "internal keep",
  usage: "",
  summary: "Keep the engine open as long as something needs a clock (started by shims)",
  options: {},
  minArguments: 0,
  maxArguments: 0,
  examples: [],
  async run(context) {
    const engine = await context.engine();
    await engine.keep({ onDemand: true, signal: context.signal });
    return 0;
  },
});
