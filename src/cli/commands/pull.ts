/** `gantry pull`. */
import { parseReference, parseReferenceExactly } from "../../spec/reference.ts";
import { defineCommand } from "../command.ts";
import { flag, list, text } from "../options.ts";
import { pullProgress } from "../pull-progress.ts";
import { terminalColumns } from "../terminal.ts";

export const pull = defineCommand({
  name: "pull",
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Download an image from a registry",
  options: {
    platform: text("Platform to choose from a multi-platform image, such as linux/arm64"),
    quiet: flag("Only print the name of the image", { short: "q" }),
    "insecure-registry": list("Registry (host:port) that may speak plain HTTP or have any certificate"),
  },
  minArguments: 1,
  maxArguments: 1,
  examples: [
    ["gantry pull busybox", "docker.io/library/busybox:latest"],
    ["gantry pull localhost:5000/team/app:1.2", "From a registry on this machine, over plain HTTP"],
    ["gantry pull --platform linux/arm64 alpine", "Of another platform"],
  ],
  about:
    "Passwords are those of `docker login` and `podman login`: ~/.docker/config.json and auth.json are read.",
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const columns = terminalColumns(1);
    const target = {
      terminal: columns !== undefined,
      columns: columns ?? 80,
      write: (line: string) => context.out(line),
    };
    const progress = values.quiet ? undefined : pullProgress(target);
    const exact = parseReferenceExactly(positionals[0]!);
    if (progress && exact.tag === undefined && exact.digest === undefined)
      context.out(`Using default tag: ${parseReference(positionals[0]!).tag}\n`);
    const image = await engine.pull(positionals[0]!, {
      ...(values.platform === undefined ? {} : { platform: values.platform }),
      ...(values["insecure-registry"].length > 0 ? { insecureRegistries: values["insecure-registry"] } : {}),
      ...(progress ? { onProgress: progress.onEvent } : {}),
      signal: context.signal,
    });
    progress?.finish();
    context.out(`${fullName(image.names, positionals[0]!)}\n`);
    return 0;
  },
});

/** The complete form of what was asked for: `docker.io/library/busybox:latest`. */
function fullName(names: readonly string[], asked: string): string {
  const name = asked.replace(/^docker\.io\//, "");
  return names.find((each) => each.includes(name)) ?? names[0] ?? asked;
}
