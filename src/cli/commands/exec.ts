/** `gantry exec`. */
import { defineCommand } from "../command.ts";
import { runInForeground } from "../foreground.ts";
import { flag, list, text } from "../options.ts";
import { gatherEnvironment } from "../run-options/environment.ts";

export const exec = defineCommand({
  name: "exec",
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  summary: "Execute a command in a running container",
  about: "A command that is not detached ends with this client, however that ends.",
  options: {
    detach: flag("Detached mode: run command in the background", { short: "d" }),
    env: list("Set environment variables", { short: "e" }),
    "env-file": list("Read in a file of environment variables"),
    interactive: flag("Keep STDIN open even if not attached", { short: "i" }),
    privileged: flag("Give extended privileges to the command"),
    user: text('Username or UID (format: "<name|uid>[:<group|gid>]")', { short: "u" }),
    workdir: text("Working directory inside the container", { short: "w" }),
  },
  stopsAtFirstArgument: true,
  minArguments: 2,
  examples: [
    ["gantry exec web ps", "See what runs in it"],
    ["gantry exec -i db psql < dump.sql", "Feed it from a file"],
    ["gantry exec -u root -w /etc web ls -l", "As another user, in another directory"],
  ],
  async run(context, { values, positionals }) {
    const [name = "", ...command] = positionals;
    const { interactive, detach, user, workdir, privileged } = values;
    const env = gatherEnvironment(values["env-file"], values.env);
    const engine = await context.engine();
    const { signal } = context;
    const container = await engine.container(name, { signal });
    await using exec = await container.exec(command, {
      ...(env.length > 0 ? { env } : {}),
      ...(user ? { user } : {}),
      ...(workdir ? { workingDirectory: workdir } : {}),
      privileged,
      stdin: interactive && !detach,
      detach,
      signal,
    });
    if (detach) return 0;
    return await runInForeground(context, exec, {
      stdin: interactive,
      stdout: true,
      stderr: true,
      proxySignals: true,
    });
  },
});
