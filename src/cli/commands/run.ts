/** `gantry run`. */
import { reserveCidFile } from "../cid-file.ts";
import { defineCommand } from "../command.ts";
import { runInForeground } from "../foreground.ts";
import { missingImageProgress } from "../missing-image.ts";
import { flag, text, UsageError } from "../options.ts";
import { createRequest } from "../run-options/request.ts";
import { createOptions } from "../run-options/table.ts";
import { openTerminal, refusesInput } from "../terminal.ts";

export const run = defineCommand({
  name: "run",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create and run a new container from an image",
  options: {
    ...createOptions,
    detach: flag("Run container in background and print container ID", { short: "d" }),
    "detach-keys": text("Override the key sequence for detaching a container"),
    "sig-proxy": flag("Proxy received signals to the process, if it has no terminal (default true)", {
      fallback: true,
    }),
  },
  stopsAtFirstArgument: true,
  minArguments: 1,
  examples: [
    ["gantry run --rm -it busybox", "A shell"],
    ["gantry run --rm busybox echo hello", "Run a command, see what it prints, leave nothing behind"],
    ["echo hello | gantry run --rm -i busybox tr a-z A-Z", "Feed it from a pipe"],
    ["gantry run -d --name web -m 256m --cpus 1.5 --network host nginx", "In the background, with limits"],
    ["gantry run --rm -v $PWD:/src:ro -w /src node:22 npm test", "Over files of the host"],
    [
      "gantry run --rm --read-only --cap-drop ALL --security-opt no-new-privileges -u 1000 busybox id",
      "With as little as possible",
    ],
  ],
  async run(context, { values, positionals }) {
    const request = createRequest(values, positionals);
    const streams = attachedStreams(values.attach, values.detach, values.interactive);
    if (await refusesInput(context, { stdin: streams.stdin, tty: values.tty })) return 1;
    await using terminal =
      values.tty && !values.detach
        ? await openTerminal({ stdin: streams.stdin, detachKeys: values["detach-keys"], detachStatus: 0 })
        : undefined;
    using cidFile = values.cidfile === undefined ? undefined : reserveCidFile(values.cidfile);
    const engine = await context.engine();
    const progress = missingImageProgress(context, { quiet: values.quiet, asked: values.pull === "always" });
    const container = await engine.run(
      { ...request, attach: !values.detach, terminalSize: terminal?.size },
      { ...progress, signal: context.signal },
    );
    cidFile?.write(container.id);
    if (values.detach) {
      context.out(`${container.id}\n`);
      return 0;
    }
    return await runInForeground(context, container, {
      ...streams,
      proxySignals: values["sig-proxy"],
      terminal,
    });
  },
});

function attachedStreams(attach: readonly string[], detach: boolean, interactive: boolean) {
  const wanted = new Set(attach.map((name) => name.toUpperCase()));
  for (const name of wanted)
    if (!["STDIN", "STDOUT", "STDERR"].includes(name))
      throw new UsageError(
        `invalid argument "${name}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`,
      );
  if (detach && wanted.size > 0)
    throw new UsageError("conflicting options: cannot specify both --attach and --detach");
  const all = wanted.size === 0;
  return {
    stdin: interactive && !detach && (all || wanted.has("STDIN")),
    stdout: all || wanted.has("STDOUT"),
    stderr: all || wanted.has("STDERR"),
  };
}
