/** `gantry export`. */
import { GantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";
import { text } from "../options.ts";
import { terminalColumns } from "../terminal.ts";
import { writeTar } from "../write-tar.ts";

export const exportCommand = defineCommand({
  name: "export",
  usage: "[OPTIONS] CONTAINER",
  summary: "Export a container's filesystem as a tar archive",
  options: { output: text("Write to a file, instead of STDOUT", { short: "o" }) },
  minArguments: 1,
  maxArguments: 1,
  examples: [
    ["gantry export -o web.tar web", "Without what is mounted in it"],
    ["gantry export web | gantry import - web:flat", "An image of one layer"],
  ],
  async run(context, { values, positionals }) {
    if (values.output === undefined && terminalColumns(1) !== undefined)
      throw new GantryError(
        "failed-precondition",
        "cowardly refusing to save to a terminal. Use the -o flag or redirect",
      );
    const engine = await context.engine();
    const container = await engine.container(positionals[0]!, { signal: context.signal });
    await writeTar(container.export({ signal: context.signal }), values.output);
    return 0;
  },
});
