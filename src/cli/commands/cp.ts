/** `gantry cp`. */
import { resolve } from "node:path";
import { GantryError } from "../../base/error.ts";
import type { CopyOptions } from "../../engine/containers/copy.ts";
import { defineCommand } from "../command.ts";
import { humanSize } from "../format/units.ts";
import { flag } from "../options.ts";
import { writeTar } from "../write-tar.ts";

export const cp = defineCommand({
  name: "cp",
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tgantry cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  summary: "Copy files/folders between a container and the local filesystem",
  options: {
    archive: flag("Archive mode (copy all uid/gid information)", { short: "a" }),
    "follow-link": flag("Always follow symbol link in SRC_PATH", { short: "L" }),
    quiet: flag("Suppress progress output during copy", { short: "q" }),
  },
  minArguments: 2,
  maxArguments: 2,
  examples: [
    ["gantry cp web:/etc/nginx .", "A directory out of a container"],
    ["gantry cp site/. web:/usr/share/nginx/html", "What is in a directory, into it"],
    ["gantry cp web:/var/log - | tar t", "As a tar"],
  ],
  about:
    "Use '-' as the source to read a tar archive from stdin and extract it to a directory of the container.\nUse '-' as the destination to stream a tar archive of the container source to stdout.",
  async run(context, { values, positionals }) {
    const [source, destination] = positionals.map(parsePlace) as [Place, Place];
    if (source.path === "") throw new GantryError("invalid-argument", "source can not be empty");
    if (destination.path === "") throw new GantryError("invalid-argument", "destination can not be empty");
    if (source.container !== undefined && destination.container !== undefined)
      throw new GantryError("invalid-argument", "copying between containers is not supported");
    const name = source.container ?? destination.container;
    if (name === undefined)
      throw new GantryError("invalid-argument", "must specify at least one container source");
    const engine = await context.engine();
    const container = await engine.container(name, { signal: context.signal });
    const options: CopyOptions = {
      archive: values.archive,
      followLink: values["follow-link"],
      signal: context.signal,
    };
    let bytes: number | undefined;
    let where: string;
    if (source.container !== undefined) {
      where = resolve(destination.path);
      if (destination.path === "-") {
        await using read = await container.readArchive(source.path, options);
        await writeTar(read.tar, undefined);
        return 0;
      }
      bytes = await container.copyFrom(source.path, destination.path, options);
    } else {
      where = `${name}:${destination.path}`;
      if (source.path === "-") {
        await container.writeArchive(destination.path, process.stdin, {
          toContainerUser: values.archive,
          signal: context.signal,
        });
        return 0;
      }
      bytes = await container.copyTo(source.path, destination.path, options);
    }
    if (!values.quiet) context.err(`Successfully copied ${humanSize(bytes)} to ${where}\n`);
    return 0;
  },
});

interface Place {
  readonly container: string | undefined;
  readonly path: string;
}

/** `CONTAINER:PATH`; a path that begins with "/" or "." is one of this machine, whatever colons it has. */
function parsePlace(text: string): Place {
  const colon = text.indexOf(":");
  if (text.startsWith("/") || text.startsWith(".") || colon < 0) return { container: undefined, path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}
