/** `gantry import`. */
import { createReadStream } from "node:fs";
import { GantryError, wrapErrno } from "../../base/error.ts";
import { parsePlatform } from "../../spec/platform.ts";
import { defineCommand } from "../command.ts";
import { parseChanges } from "../import-changes.ts";
import { list, text } from "../options.ts";

async function* readTar(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const source = path === "-" ? process.stdin : createReadStream(path, { highWaterMark: 1024 * 1024 });
  try {
    for await (const chunk of source) {
      signal.throwIfAborted();
      yield chunk as Uint8Array;
    }
  } catch (error) {
    throw wrapErrno(error, "read", path);
  }
}

export const importCommand = defineCommand({
  name: "import",
  usage: "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
  summary: "Make an image of the tar of a root file system",
  options: {
    change: list(
      "Apply a Dockerfile instruction to the image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, WORKDIR",
      {
        short: "c",
      },
    ),
    message: text("Remark that is kept in the image", { short: "m" }),
    platform: text("Platform of what is in the tar; default: this machine's"),
  },
  minArguments: 1,
  maxArguments: 2,
  examples: [
    ["tar -C rootfs -c . | gantry import - mine", "From a folder"],
    ["gantry import -c 'CMD [\"sh\"]' -c 'ENV A=1' rootfs.tar mine:1", "With defaults for its containers"],
  ],
  about: "The tar may be compressed with gzip or zstd.",
  async run(context, { values, positionals }) {
    const [path, name] = positionals as [string, string | undefined];
    if (/^https?:/.test(path))
      throw new GantryError("unimplemented", `import "${path}": fetch it first, and give the file`);
    const engine = await context.engine();
    const image = await engine.importImage(readTar(path, context.signal), {
      ...(name === undefined ? {} : { name }),
      ...(values.change.length > 0 ? { execution: parseChanges(values.change) } : {}),
      ...(values.message === undefined ? {} : { message: values.message }),
      ...(values.platform === undefined ? {} : { platform: parsePlatform(values.platform) }),
      signal: context.signal,
    });
    context.out(`${image.id}\n`);
    return 0;
  },
});
