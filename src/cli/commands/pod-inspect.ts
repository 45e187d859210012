/** `gantry pod inspect`. */

import { isGantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";
import { messageOf } from "../error-text.ts";
import { compileTemplate } from "../format/template.ts";
import { inspectPodView } from "../inspect-pod.ts";
import { text } from "../options.ts";

export const podInspect = defineCommand({
  name: "pod inspect",
  usage: "[OPTIONS] POD [POD...]",
  summary: "Display the configuration and state of one or more pods",
  options: { format: text("Format output: 'json' or a Go TEMPLATE", { short: "f" }) },
  minArguments: 1,
  examples: [
    ["gantry pod inspect web", "All that is known of it, as JSON"],
    [
      "gantry pod inspect -f '{{.NamespacePaths.network}}' web",
      "The file by which its network can be joined",
    ],
  ],
  async run(context, { values, positionals }) {
    const { format } = values;
    const template = format === undefined || format === "json" ? undefined : compileTemplate(format);
    const engine = await context.engine();
    const views: object[] = [];
    let status = 0;
    for (const name of positionals) {
      try {
        const pod = await engine.pod(name, { signal: context.signal });
        views.push(inspectPodView(await pod.inspect({ signal: context.signal })));
      } catch (error) {
        if (!isGantryError(error)) throw error;
        context.err(`gantry: ${messageOf(error)}\n`);
        status = 1;
      }
    }
    if (template) for (const view of views) context.out(`${template.run(view)}\n`);
    else if (format === "json") for (const view of views) context.out(`${JSON.stringify(view)}\n`);
    // podman shows one pod as itself, several as a list
    else if (views.length > 0)
      context.out(`${JSON.stringify(views.length === 1 ? views[0] : views, undefined, 5)}\n`);
    return status;
  },
});
