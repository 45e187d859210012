/** `gantry explain run`. */
import { printPlan } from "../../plan/print.ts";
import { defineCommand } from "../command.ts";
import { sanitize } from "../format/sanitize.ts";
import { compileTemplate } from "../format/template.ts";
import { flag, text } from "../options.ts";
import { createRequest } from "../run-options/request.ts";
import { createOptions } from "../run-options/table.ts";

export const explainRun = defineCommand({
  name: "explain run",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Print what `run` would do, step by step, and do nothing",
  options: {
    ...createOptions,
    detach: flag("Accepted, as for run", { short: "d", hidden: true }),
    format: text(
      "Only the runtime config ('config'), only the plan ('plan'), all as JSON ('json'), or a Go TEMPLATE over {Config, Plan}",
    ),
  },
  stopsAtFirstArgument: true,
  minArguments: 1,
  examples: [
    [
      "gantry explain run -m 100m busybox",
      "The config of the container, and every privileged step of its start",
    ],
    [
      "gantry explain run --format '{{json .Config.linux.resources}}' -m 100m busybox",
      "A part of the config",
    ],
  ],
  about:
    "The options are those of run. The image must be here: nothing is pulled, nothing is started, nothing is kept.",
  async run(context, { values, positionals }) {
    const engine = await context.engine();
    const { runtimeConfig, plan } = await engine.explain(createRequest(values, positionals), {
      signal: context.signal,
    });
    const { format } = values;
    const config = JSON.stringify(runtimeConfig, jsonValue, 2);
    const steps = sanitize(printPlan(plan), "\n\t");
    if (format === "config") context.out(`${config}\n`);
    else if (format === "plan") context.out(`${steps}\n`);
    else if (format === "json")
      context.out(`${JSON.stringify({ Config: runtimeConfig, Plan: plan }, jsonValue)}\n`);
    else if (format !== undefined) {
      const value: unknown = JSON.parse(JSON.stringify({ Config: runtimeConfig, Plan: plan }, jsonValue));
      context.out(`${compileTemplate(format).run(value)}\n`);
    } else {
      context.out(`# Runtime config (OCI ${runtimeConfig.ociVersion})\n\n${config}\n\n`);
      context.out(
        `# Plan: every privileged step, in order, with the member of the config that asks for it\n\n${steps}\n`,
      );
    }
    return 0;
  },
});

/** Numbers beyond 2^53 and bytes have no form of their own in JSON. */
function jsonValue(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();
  return value instanceof Uint8Array ? `${value.length} bytes` : value;
}
