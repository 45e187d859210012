/** `gantry internal relay-log`: what the shim of a container starts whose log goes to a syslog daemon over TLS. */
import { defineCommand } from "../command.ts";
import { flag, text } from "../options.ts";

export const internalRelayLog = defineCommand({
  name: "internal relay-log",
  usage: "HOST PORT",
  summary: "Pass log lines on over TLS (started by the shim of a container)",
  options: {
    "ca-cert": text("Trust this authority too", { value: "file" }),
    cert: text("Certificate for the receiver", { value: "file" }),
    key: text("Key of that certificate", { value: "file" }),
    "skip-verify": flag("Take any certificate"),
  },
  minArguments: 2,
  maxArguments: 2,
  examples: [],
  async run(context, { positionals, values }) {
    const { relayLog } = await import("../../engine/containers/log-relay.ts");
    const relaying = relayLog({
      host: positionals[0]!,
      port: Number(positionals[1]),
      caFile: values["ca-cert"],
      certFile: values.cert,
      keyFile: values.key,
      skipVerify: values["skip-verify"],
    });
    context.releaseSignals();
    await relaying;
    return 0;
  },
});
