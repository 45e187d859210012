/** `gantry volume create`. */
import { defineCommand } from "../command.ts";
import { list, text, UsageError } from "../options.ts";
import { gatherLabels } from "../run-options/environment.ts";

const pair = (given: string): readonly [string, string] => {
  const equals = given.indexOf("=");
  return equals < 0 ? [given, ""] : [given.slice(0, equals), given.slice(equals + 1)];
};

export const volumeCreate = defineCommand({
  name: "volume create",
  usage: "[OPTIONS] [VOLUME]",
  summary: "Create a volume",
  options: {
    driver: text('Specify volume driver name (default "local")', { short: "d" }),
    label: list("Set metadata for a volume"),
    name: text("Specify volume name", { hidden: true }),
    opt: list("Set driver specific options: type=, device=, o=", { short: "o", value: "map", parse: pair }),
  },
  minArguments: 0,
  maxArguments: 1,
  examples: [
    ["gantry volume create data", "A volume that containers share by its name"],
    [
      "gantry volume create -o type=none -o o=bind -o device=/srv/data data",
      "One that shows a directory of the host",
    ],
  ],
  async run(context, { values, positionals }) {
    const [name = values.name] = positionals;
    if (positionals.length > 0 && values.name !== undefined)
      throw new UsageError(
        "conflicting options: cannot specify a volume name through both --name and as a positional arg",
      );
    const engine = await context.engine();
    const volume = await engine.createVolume(
      {
        ...(name === undefined ? {} : { name }),
        ...(values.driver === undefined ? {} : { driver: values.driver }),
        labels: gatherLabels([], values.label),
        options: Object.fromEntries(values.opt),
      },
      { signal: context.signal },
    );
    context.out(`${volume.name}\n`);
    return 0;
  },
});
