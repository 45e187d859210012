/** `gantry volume inspect`. */
import { isGantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";
import { messageOf } from "../error-text.ts";
import { compileTemplate } from "../format/template.ts";
import { text } from "../options.ts";
import { inspectVolumeView } from "../volume-columns.ts";

export const volumeInspect = defineCommand({
  name: "volume inspect",
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Display detailed information on one or more volumes",
  options: { format: text("Format output: 'json' or a Go TEMPLATE", { short: "f" }) },
  minArguments: 1,
  examples: [["gantry volume inspect -f '{{.Mountpoint}}' data", "Where it lies on the host"]],
  async run(context, { values, positionals }) {
    const template =
      values.format === undefined || values.format === "json" ? undefined : compileTemplate(values.format);
    const engine = await context.engine();
    const views: object[] = [];
    let status = 0;
    for (const name of positionals) {
      try {
        views.push(inspectVolumeView(await engine.volume(name, { signal: context.signal })));
      } catch (error) {
        if (!isGantryError(error)) throw error;
        context.err(`gantry: ${messageOf(error)}\n`);
        status = 1;
      }
    }
    if (template) for (const view of views) context.out(`${template.run(view)}\n`);
    else if (values.format === "json") for (const view of views) context.out(`${JSON.stringify(view)}\n`);
    else context.out(`${JSON.stringify(views, undefined, 4)}\n`);
    return status;
  },
});
