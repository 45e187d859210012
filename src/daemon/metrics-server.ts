/** Serves metrics over HTTP: `GET /metrics`, at a TCP address or a unix socket. */
import { lstatSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { type Metric, metricText } from "./metric-text.ts";

export type MetricsAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** "127.0.0.1:9323", "[::1]:9323", "unix:///run/gantry/metrics.sock"; invalid-argument for what is neither. */
export function parseMetricsAddress(text: string): MetricsAddress {
  if (text.startsWith("unix://")) {
    const path = text.slice("unix://".length);
    if (path.startsWith("/")) return { path };
  }
  const match = /^(?:tcp:\/\/)?(\[[0-9a-fA-F:]+\]|[^:[\]/]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535)
    throw new GantryError(
      "invalid-argument",
      `invalid address for metrics ${JSON.stringify(text)}: HOST:PORT or unix:///PATH`,
    );
  return { host: match[1]!.replace(/^\[|\]$/g, ""), port };
}

const contentType = "text/plain; version=0.0.4; charset=utf-8";
/** Of headers; a scraper needs some hundred bytes. */
const maxHeaderSize = 8 * 1024;
const requestMs = 10_000;

export interface MetricsServer extends AsyncDisposable {
  /** Where it listens: with port 0 the kernel has chosen. */
  readonly address: string;
}

/** `collect` is asked at each request; one that fails is answered with 500, and told to `onError`. */
export async function serveMetrics(
  at: MetricsAddress,
  collect: (signal: AbortSignal) => Promise<readonly Metric[]>,
  onError: (error: unknown) => void,
): Promise<MetricsServer> {
  const over = new AbortController();
  const server = createServer({ maxHeaderSize, requestTimeout: requestMs }, (request, response) => {
    void answer(request, response, () => collect(over.signal), onError);
  });
  await listen(server, at);
  return {
    address: addressOf(server, at),
    async [Symbol.asyncDispose]() {
      over.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  collect: () => Promise<readonly Metric[]>,
  onError: (error: unknown) => void,
): Promise<void> {
  const say = (status: number, text: string, headers: Readonly<Record<string, string>> = {}) => {
    response.writeHead(status, { "content-type": contentType, ...headers });
    response.end(request.method === "HEAD" ? undefined : text);
  };
  if (request.method !== "GET" && request.method !== "HEAD")
    return say(405, "only GET and HEAD\n", { allow: "GET, HEAD" });
  if (request.url?.split("?")[0] !== "/metrics") return say(404, "metrics are at /metrics\n");
  try {
    say(200, metricText(await collect()));
  } catch (error) {
    onError(error);
    say(500, "the metrics could not be collected\n");
  }
}

async function listen(server: Server, at: MetricsAddress): Promise<void> {
  const what = "path" in at ? at.path : `${at.host}:${at.port}`;
  // what a killed process has left; the one that keeps the store is the only one that listens there
  if ("path" in at) removeSocket(at.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(wrapErrno(error, "listen for metrics", what)));
    server.listen(at, resolve);
  });
}

function removeSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "remove socket", path);
  }
}

function addressOf(server: Server, at: MetricsAddress): string {
  if ("path" in at) return `unix://${at.path}`;
  const bound = server.address();
  const port = typeof bound === "object" && bound ? bound.port : at.port;
  return `http://${at.host.includes(":") ? `[${at.host}]` : at.host}:${port}/metrics`;
}
