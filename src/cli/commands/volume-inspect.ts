/** `gantry volume inspect`. */
import { defineCommand } from "../command.ts";
import { formatOption, inspectEach } from "../inspect-each.ts";
import { inspectVolumeView } from "../volume-columns.ts";

export const volumeInspect = defineCommand({
  name: "volume inspect",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Display detailed information on one or more volumes",
  options: { format: formatOption },
  minArguments: 1,
  examples: [["gantry volume inspect -f '{{.Mountpoint}}' data", "Where it lies on the host"]],
  async run(context, { values, positionals: names }) {
    const engine = await context.engine();
    const viewOf = async (name: string) =>
      inspectVolumeView(await engine.volume(name, { signal: context.signal }));
    return await inspectEach(context, { names, format: values.format, viewOf });
  },
});
