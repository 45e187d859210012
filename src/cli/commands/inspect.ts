/** `gantry inspect`. */
import { GantryError, isGantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { inspectContainerView } from "../inspect-container.ts";
import { formatOption, inspectEach } from "../inspect-each.ts";
import { inspectImageView } from "../inspect-image.ts";
import { flag, parsed } from "../options.ts";
import { inspectVolumeView } from "../volume-columns.ts";

const types = ["container", "image", "volume"] as const;

export const inspect = defineCommand({
  name: "inspect",
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  summary: "Return low-level information on containers, images and volumes",
  options: {
    format: formatOption,
    type: parsed("Only inspect objects of the given type: container, image or volume", "string", (given) => {
      const type = types.find((known) => known === given);
      if (!type) throw new Error(`unknown type: ${JSON.stringify(given)}`);
      return type;
    }),
    size: flag("Accepted, as for docker", { short: "s", hidden: true }),
  },
  minArguments: 1,
  examples: [
    ["gantry inspect web", "All that is known of it, as JSON"],
    ["gantry inspect -f '{{.State.Pid}}' web", "Its process on the host"],
    ["gantry inspect --type image -f '{{json .Config.Env}}' busybox", "A part of an image"],
  ],
  async run(context, { values, positionals: names }) {
    const viewOf = (name: string) => lookUp(context, name, values.type);
    return await inspectEach(context, { names, format: values.format, viewOf });
  },
});

/** Containers come before images and these before volumes, as with docker. */
async function lookUp(
  context: CommandContext,
  name: string,
  type: (typeof types)[number] | undefined,
): Promise<object> {
  const engine = await context.engine();
  const { signal } = context;
  if (type === undefined || type === "container") {
    try {
      const container = await engine.container(name, { signal });
      return inspectContainerView(await container.inspect({ signal }));
    } catch (error) {
      if (type === "container" || !isGantryError(error, "not-found")) throw error;
    }
  }
  const absent = (error: unknown) =>
    isGantryError(error, "not-found") || isGantryError(error, "invalid-argument");
  if (type === undefined || type === "image") {
    try {
      return inspectImageView(await engine.image(name, { signal }));
    } catch (error) {
      if (type === "image" || !absent(error)) throw error;
    }
  }
  try {
    return inspectVolumeView(await engine.volume(name, { signal }));
  } catch (error) {
    if (type === "volume" || !absent(error)) throw error;
    throw new GantryError("not-found", `No such object: ${name}`, { detail: { name }, cause: error });
  }
}
