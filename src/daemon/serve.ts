/** Puts together what `gantry serve` is: the keeper of a store, and listeners beside it. */
import type { Logger } from "../base/log.ts";
import type { Engine } from "../engine/engine.ts";
import { engineMetrics } from "./engine-metrics.ts";
import { type MetricsAddress, type MetricsServer, serveMetrics } from "./metrics-server.ts";

export interface ServeOptions {
  /** Where metrics are served; nowhere if left out. */
  readonly metrics?: MetricsAddress | undefined;
  readonly logger: Logger;
  /** All is as it should be, and every listener listens. */
  readonly onReady?: (serving: { readonly containers: number; readonly metrics?: string }) => void;
  readonly signal: AbortSignal;
}

/** Resolves when `signal` aborts: listeners first, then the keeper. */
export async function serve(
  engine: Engine,
  { metrics, logger, onReady, signal }: ServeOptions,
): Promise<void> {
  let server: MetricsServer | undefined;
  try {
    await engine.keep({
      signal,
      // listeners open only in the one process that keeps the store
      onReady: async (containers) => {
        if (metrics)
          server = await serveMetrics(
            metrics,
            (over) => engineMetrics(engine, over),
            (error) => logger.error("the metrics could not be collected", { error: String(error) }),
          );
        onReady?.({ containers, ...(server ? { metrics: server.address } : {}) });
      },
    });
  } finally {
    await server?.[Symbol.asyncDispose]();
  }
}
