/** `gantry registry serve`. */
import { join } from "node:path";
import { defaultPlaces } from "../../engine/store-layout.ts";
import { serveRegistry } from "../../registry/server.ts";
import { defineCommand } from "../command.ts";
import { Interrupted } from "../interrupted.ts";
import { flag, parsed, text } from "../options.ts";

interface Address {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:5000`, `:5000` (loopback), `[::1]:5000`, `5000`. */
export function parseListen(given: string): Address {
  const match = /^(?:(.*):)?(\d{1,5})$/.exec(given);
  const port = Number(match?.[2]);
  if (!match || port > 65535) throw new Error("must be [HOST:]PORT");
  return { host: match[1]?.replace(/^\[(.*)\]$/, "$1") || "127.0.0.1", port };
}

export const registryServe = defineCommand({
  name: "registry serve",
  usage: "[OPTIONS]",
  summary: "Serve a small registry to pull from and push to",
  options: {
    listen: parsed("Where to listen (default 127.0.0.1:5000)", "[HOST:]PORT", parseListen),
    dir: text("Folder of the registry (default: registry below --root)", { value: "DIR" }),
    "read-only": flag("Refuse pushes"),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [
    ["gantry registry serve", "On loopback, until you interrupt"],
    [
      "skopeo copy --dest-tls-verify=false oci:mine docker://127.0.0.1:5000/mine",
      "Fill it (docker push works, too)",
    ],
    ["gantry run --rm 127.0.0.1:5000/mine", "Run what is in it"],
  ],
  about: "It speaks plain HTTP and asks nobody for a password: keep it on loopback.",
  async run(context, { values }) {
    const { host, port } = values.listen ?? { host: "127.0.0.1", port: 5000 };
    const root = values.dir ?? join(context.globals.root ?? defaultPlaces().root, "registry");
    await using server = await serveRegistry({
      root,
      host,
      port,
      readOnly: values["read-only"],
      onRequest: (line) => context.logger.info("request", { ...line }),
    });
    context.out(`Listening on ${server.address}\n`);
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve();
      context.signal.addEventListener("abort", () => resolve());
    });
    // ended on purpose
    return context.signal.reason instanceof Interrupted ? 0 : 1;
  },
});
