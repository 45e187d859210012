/** `gantry create`. */
import { reserveCidFile } from "../cid-file.ts";
import { defineCommand } from "../command.ts";
import { missingImageProgress } from "../missing-image.ts";
import { createRequest } from "../run-options/request.ts";
import { createOptions } from "../run-options/table.ts";

export const create = defineCommand({
  name: "create",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create a new container",
  options: createOptions,
  stopsAtFirstArgument: true,
  minArguments: 1,
  examples: [["gantry start -a $(gantry create busybox echo hello)", "Create now, start later"]],
  about: "The options are those of run. The container is started with `gantry start`.",
  async run(context, { values, positionals }) {
    const request = createRequest(values, positionals);
    using cidFile = values.cidfile === undefined ? undefined : reserveCidFile(values.cidfile);
    const engine = await context.engine();
    const progress = missingImageProgress(context, { quiet: values.quiet, asked: values.pull === "always" });
    const container = await engine.create(request, { ...progress, signal: context.signal });
    cidFile?.write(container.id);
    context.out(`${container.id}\n`);
    return 0;
  },
});
