/** `gantry serve`. */
import { parseMetricsAddress } from "../../daemon/metrics-server.ts";
import { defineCommand } from "../command.ts";
import { parsed } from "../options.ts";

export const serve = defineCommand({
  name: "serve",
  usage: "[OPTIONS]",
  summary: "Keep the engine open: restarts, health checks, and ends that nobody saw",
  options: {
    metrics: parsed("Serve Prometheus metrics at HOST:PORT or unix:///PATH", "address", parseMetricsAddress),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [
    ["gantry serve", "In the foreground, until you interrupt it"],
    ["gantry serve --metrics 127.0.0.1:9323", "With metrics of all containers"],
    [
      "systemctl enable --now gantry",
      "As a service that comes up with the machine, with packaging/gantry.service",
    ],
  ],
  async run(context, { values }) {
    const engine = await context.engine();
    const { serve } = await import("../../daemon/serve.ts");
    await serve(engine, {
      metrics: values.metrics,
      logger: context.logger,
      onReady: ({ containers, metrics }) =>
        context.err(
          `gantry: serving ${containers} containers, as process ${process.pid}${metrics ? `; metrics at ${metrics}` : ""}\n`,
        ),
      signal: context.signal,
    });
    return 0;
  },
});
