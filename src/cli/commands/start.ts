/** `gantry start`. */
import { isGantryError } from "../../base/error.ts";
import { attachTo } from "../attach-to.ts";
import { defineCommand } from "../command.ts";
import { forEachContainer } from "../each.ts";
import { flag, text, UsageError } from "../options.ts";

export const start = defineCommand({
  name: "start",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Start one or more stopped containers",
  options: {
    attach: flag("Attach STDOUT/STDERR and forward signals", { short: "a" }),
    interactive: flag("Attach container's STDIN", { short: "i" }),
    "detach-keys": text("Override the key sequence for detaching a container"),
    "sig-proxy": flag("Proxy received signals to the process, if it has no terminal (default true)", {
      fallback: true,
    }),
  },
  minArguments: 1,
  examples: [
    ["gantry start web", "In the background"],
    ["gantry start -ai shell", "Go on in a shell that has ended"],
    ["gantry start -a job", "See what it prints, and end with its exit status"],
  ],
  async run(context, { values, positionals }) {
    const { signal } = context;
    if (!values.attach && !values.interactive)
      return await forEachContainer(context, positionals, async (container) => {
        try {
          await container.start({ attach: false, signal });
        } catch (error) {
          // docker's way: starting what runs is no mistake
          if (!isGantryError(error, "failed-precondition") || error.detail.running !== true) throw error;
        }
      });
    if (positionals.length > 1)
      throw new UsageError("you cannot start and attach multiple containers at once");
    const engine = await context.engine();
    const container = await engine.container(positionals[0]!, { signal });
    return await attachTo(context, container, {
      stdin: values.interactive,
      detachKeys: values["detach-keys"],
      detachStatus: 0,
      proxySignals: values["sig-proxy"],
      async connect(stdin, terminalSize) {
        try {
          await container.start({ stdin, terminalSize, signal });
        } catch (error) {
          if (!isGantryError(error, "failed-precondition") || error.detail.running !== true) throw error;
          // what runs already is watched from here on
          await container.attach({ stdin, signal });
        }
      },
    });
  },
});
