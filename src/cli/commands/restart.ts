/** `gantry restart`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";
import { text, whole } from "../options.ts";

export const restart = defineCommand({
  name: "restart",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Restart one or more containers",
  options: {
    signal: text("Signal to send to the container (default: its stop signal)", { short: "s" }),
    timeout: whole("Seconds to wait before killing the container; -1 waits for ever", {
      short: "t",
      min: -1,
    }),
    time: whole("The same as --timeout", { min: -1, hidden: true }),
  },
  minArguments: 1,
  examples: [["gantry restart -t 1 web", "Kill it if it does not end within a second"]],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const timeoutSeconds = values.timeout ?? values.time;
    return await forEachName(context, positionals, async (name) => {
      const container = await engine.container(name, { signal: context.signal });
      await container.restart({
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
        ...(values.signal === undefined ? {} : { stopSignal: values.signal }),
        signal: context.signal,
      });
      return name;
    });
  },
});
