/** `gantry serve`. */
import { defineCommand } from "../command.ts";

export const serve = defineCommand({
  name: "serve",
  usage: "",
  summary: "Keep the engine open: restarts, and ends that nobody saw",
  options: {},
  minArguments: 0,
  maxArguments: 0,
  examples: [
    ["gantry serve", "In the foreground, until you interrupt it"],
    [
      "systemctl enable --now gantry",
      "As a service that comes up with the machine, with packaging/gantry.service",
    ],
  ],
  async run(context) {
    const engine = await context.engine();
    await engine.keep({
      onReady: (containers) =>
        context.err(`gantry: serving ${containers} containers, as process ${process.pid}\n`),
      signal: context.signal,
    });
    return 0;
  },
});
