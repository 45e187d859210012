/** `gantry attach`. */
import { attachTo } from "../attach-to.ts";
import { defineCommand } from "../command.ts";
import { flag, text } from "../options.ts";

export const attach = defineCommand({
  name: "attach",
  usage: "[OPTIONS] CONTAINER",
  summary: "Attach local standard input, output, and error streams to a running container",
  options: {
    "detach-keys": text("Override the key sequence for detaching a container"),
    "no-stdin": flag("Do not attach STDIN"),
    "sig-proxy": flag("Proxy all received signals to the process, if it has no terminal (default true)", {
      fallback: true,
    }),
  },
  minArguments: 1,
  maxArguments: 1,
  examples: [
    ["gantry attach shell", "Take up a terminal that was let go of with ctrl-p ctrl-q"],
    ["gantry attach --no-stdin --sig-proxy=false job", "Watch what it prints, until you interrupt"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const { signal } = context;
    const container = await engine.container(positionals[0]!, { signal });
    return await attachTo(context, container, {
      stdin: !values["no-stdin"],
      detachKeys: values["detach-keys"],
      detachStatus: 1,
      proxySignals: values["sig-proxy"],
      redraw: true,
      connect: (stdin) => container.attach({ stdin, signal }),
    });
  },
});
