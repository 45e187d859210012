/** `gantry pod inspect`. */
import { defineCommand } from "../command.ts";
import { formatOption, inspectEach } from "../inspect-each.ts";
import { inspectPodView } from "../inspect-pod.ts";

export const podInspect = defineCommand({
  name: "pod inspect",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Display the configuration and state of one or more pods",
  options: { format: formatOption },
  minArguments: 1,
  examples: [
    ["gantry pod inspect web", "All that is known of it, as JSON"],
    [
      "gantry pod inspect -f '{{.NamespacePaths.network}}' web",
      "The file by which its network can be joined",
    ],
  ],
  async run(context, { values, positionals: names }) {
    const engine = await context.engine();
    const cancellable = { signal: context.signal };
    const viewOf = async (name: string) =>
      inspectPodView(await (await engine.pod(name, cancellable)).inspect(cancellable));
    return await inspectEach(context, { names, format: values.format, viewOf, document });
  },
});

/** podman shows one pod as itself, several as a list. */
function document(views: readonly object[]): string | undefined {
  if (views.length === 0) return undefined;
  return JSON.stringify(views.length === 1 ? views[0] : views, undefined, 5);
}
