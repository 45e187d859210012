/** `gantry exec`. */
import { defineCommand } from "../command.ts";
import { runInForeground } from "../foreground.ts";
import { flag, list, text } from "../options.ts";
import { gatherEnvironment } from "../run-options/environment.ts";
import { openTerminal, refusesInput } from "../terminal.ts";

export const exec = defineCommand({
  name: "exec",
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  summary: "Execute a command in a running container",
  about: "A command that is not detached ends with this client, however that ends.",
  options: {
    detach: flag("Detached mode: run command in the background", { short: "d" }),
    "detach-keys": text("Override the key sequence for detaching a container"),
    env: list("Set environment variables", { short: "e" }),
    "env-file": list("Read in a file of environment variables"),
    interactive: flag("Keep STDIN open even if not attached", { short: "i" }),
    tty: flag("Allocate a pseudo-TTY", { short: "t" }),
    privileged: flag("Give extended privileges to the command"),
    user: text('Username or UID (format: "<name|uid>[:<group|gid>]")', { short: "u" }),
    workdir: text("Working directory inside the container", { short: "w" }),
  },
  stopsAtFirstArgument: true,
  minArguments: 2,
  examples: [
    ["gantry exec -it web sh", "A shell in it"],
    ["gantry exec web ps", "See what runs in it"],
    ["gantry exec -i db psql < dump.sql", "Feed it from a file"],
    ["gantry exec -u root -w /etc web ls -l", "As another user, in another directory"],
  ],
  async run(context, { values, positionals }) {
    const [name = "", ...command] = positionals;
    const { interactive, tty, detach, user, workdir, privileged } = values;
    const env = gatherEnvironment(values["env-file"], values.env);
    const engine = await context.engine();
    const { signal } = context;
    const container = await engine.container(name, { signal });
    const stdin = interactive && !detach;
    if (await refusesInput(context, { stdin, tty })) return 1;
    await using terminal =
      tty && !detach
        ? await openTerminal({ stdin, detachKeys: values["detach-keys"], detachStatus: 1 })
        : undefined;
    await using exec = await container.exec(command, {
      ...(env.length > 0 ? { env } : {}),
      ...(user ? { user } : {}),
      ...(workdir ? { workingDirectory: workdir } : {}),
      privileged,
      terminal: terminal?.size ?? tty,
      stdin,
      detach,
      signal,
    });
    if (detach) return 0;
    return await runInForeground(context, exec, {
      stdin,
      stdout: true,
      stderr: true,
      proxySignals: true,
      terminal,
    });
  },
});
