/** `gantry doctor`. */
import { areas, type Finding } from "../../engine/doctor/finding.ts";
import { defineCommand } from "../command.ts";
import { sanitize } from "../format/sanitize.ts";
import { flag, parsed } from "../options.ts";

export const doctor = defineCommand({
  name: "doctor",
  usage: "[OPTIONS]",
  summary: "Name what this machine lacks and what crashes have left, and mend it",
  about:
    "Exit status 0: all is well, though there may be warnings. 1: containers cannot run, or a crash has left\nsomething that is still there.",
  options: {
    fix: flag("Remove what crashes have left"),
    format: parsed("Format output: 'text' or 'json'", "string", (given) => {
      if (given !== "text" && given !== "json") throw new Error("must be text or json");
      return given;
    }),
    quiet: flag("Only what is not as it should be", { short: "q" }),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [
    ["gantry doctor", "Look, and change nothing"],
    ["gantry doctor --fix -q", "Remove what crashes have left; print only what is wrong"],
  ],
  async run(context, { values }) {
    const engine = await context.engine();
    const all = await engine.examine({ mend: values.fix, signal: context.signal });
    const shown = values.quiet ? all.filter(({ status }) => status !== "ok" && status !== "note") : all;
    context.out(values.format === "json" ? `${JSON.stringify(shown, undefined, 2)}\n` : textOf(shown));
    return all.some(({ status }) => status === "failed" || status === "left") ? 1 : 0;
  },
});

const words: Readonly<Record<Finding["status"], string>> = {
  ...{ ok: "ok", note: "note", warning: "warning", failed: "FAILED", left: "LEFT", mended: "removed" },
};

function textOf(findings: readonly Finding[]): string {
  return areas
    .flatMap((area) => {
      const lines = findings.filter((one) => one.area === area).map(lineOf);
      return lines.length > 0 ? [`${area}\n${lines.join("")}`] : [];
    })
    .join("\n");
}

function lineOf({ status, name, detail, mend }: Finding): string {
  const line = `  ${words[status].padEnd(9)}${sanitize(name)}: ${sanitize(detail)}\n`;
  return mend === undefined ? line : `${line}           mend it: ${sanitize(mend)}\n`;
}
