/** `gantry stop`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";
import { stopChoice, stopOptions } from "../stop-options.ts";

export const stop = defineCommand({
  name: "stop",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop one or more running containers",
  options: stopOptions,
  minArguments: 1,
  examples: [
    ["gantry stop web", "Ask with the stop signal, kill after 10 seconds"],
    ["gantry stop -t 1 web db", "Two containers, one second each"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    // side by side: each may take its whole time
    const stops = positionals.map((name) =>
      engine
        .container(name, { signal: context.signal })
        .then((container) => container.stop({ ...stopChoice(values), signal: context.signal })),
    );
    for (const each of stops) each.catch(() => {});
    return await forEachName(context, positionals, async (name) => {
      await stops[positionals.indexOf(name)];
      return name;
    });
  },
});
