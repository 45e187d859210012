/** `gantry stop`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";
import { text, whole } from "../options.ts";

export const stop = defineCommand({
  name: "stop",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop one or more running containers",
  options: {
    signal: text("Signal to send to the container (default: its stop signal)", { short: "s" }),
    timeout: whole("Seconds to wait before killing the container; -1 waits for ever", {
      short: "t",
      min: -1,
    }),
    time: whole("The same as --timeout", { min: -1, hidden: true }),
  },
  minArguments: 1,
  examples: [
    ["gantry stop web", "Ask with the stop signal, kill after 10 seconds"],
    ["gantry stop -t 1 web db", "Two containers, one second each"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const timeoutSeconds = values.timeout ?? values.time;
    // side by side: each may take its whole time
    const stops = positionals.map((name) =>
      engine.container(name, { signal: context.signal }).then((container) =>
        container.stop({
          ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
          ...(values.signal === undefined ? {} : { stopSignal: values.signal }),
          signal: context.signal,
        }),
      ),
    );
    for (const each of stops) each.catch(() => {});
    return await forEachName(context, positionals, async (name) => {
      await stops[positionals.indexOf(name)];
      return name;
    });
  },
});
