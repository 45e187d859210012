/** `gantry version`. */
import { version } from "../../engine/version.ts";
import { runtimeSpecVersion } from "../../spec/runtime-config.ts";
import { defineCommand } from "../command.ts";
import { compileTemplate } from "../format/template.ts";
import { text } from "../options.ts";

export const versionCommand = defineCommand({
  name: "version",
  usage: "[OPTIONS]",
  summary: "Show the version",
  options: { format: text("Format output: 'json' or a Go TEMPLATE", { short: "f" }) },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry version --format '{{.Version}}'", "Only the number"]],
  async run(context, { values }) {
    const runtime = process.versions.bun ? `bun ${process.versions.bun}` : `node ${process.versions.node}`;
    const own = {
      Version: version,
      RuntimeSpec: runtimeSpecVersion,
      Runtime: runtime,
      Os: "linux",
      Arch: process.arch === "x64" ? "amd64" : process.arch,
    };
    // docker's two sides are one program here
    const facts = { ...own, Client: own, Server: own };
    if (values.format === "json") context.out(`${JSON.stringify(facts)}\n`);
    else if (values.format !== undefined) context.out(`${compileTemplate(values.format).run(facts)}\n`);
    else {
      context.out(
        `gantry ${version}\n OCI runtime spec:  ${runtimeSpecVersion}\n OS/Arch:           ${own.Os}/${own.Arch}\n Runs on:           ${runtime}\n`,
      );
    }
    return 0;
  },
});
