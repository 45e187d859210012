/** `gantry rmi`. */
import { defineCommand } from "../command.ts";
import { forEachName } from "../each.ts";
import { flag } from "../options.ts";

export const rmi = defineCommand({
  name: "rmi",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Remove one or more images",
  options: {
    force: flag("Also remove an image with several names, or one that ended containers were made of", {
      short: "f",
    }),
    "no-prune": flag("Accepted; untagged parents do not exist", { hidden: true }),
  },
  minArguments: 1,
  examples: [
    ["gantry rmi busybox", "Take the name away, and the image with its last name"],
    ["gantry rmi $(gantry images -q)", "Remove all images that no container was made of"],
  ],
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    return await forEachName(context, positionals, async (name) => {
      const { untagged, deleted } = await engine.removeImage(name, {
        force: values.force,
        signal: context.signal,
      });
      const lines = [
        ...untagged.map((each) => `Untagged: ${each}`),
        ...deleted.map((each) => `Deleted: ${each}`),
      ];
      return lines.length > 0 ? lines.join("\n") : undefined;
    });
  },
});
