/** A server between client and registry that the tests let misbehave. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** True when it has answered; otherwise the request goes on to the registry. */
export type Mischief = (
  request: Seen,
  response: ServerResponse,
  upstream: Upstream,
) => boolean | Promise<boolean>;

export interface Upstream {
  /** The registry's whole answer. */
  answer(): Promise<{
    readonly status: number;
    readonly headers: IncomingHttpHeaders;
    readonly body: Buffer;
  }>;
}

export interface FaultyProxy extends AsyncDisposable {
  /** `127.0.0.1:41234` */
  readonly host: string;
  readonly seen: readonly Seen[];
}

function forward(target: string, seen: Seen): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { ...seen.headers, host: target };
    const outgoing = request(`http://${target}${seen.url}`, { method: seen.method, headers }, resolve);
    outgoing.on("error", reject);
    outgoing.end();
  });
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Forwards GET and HEAD to `target`; `mischief` sees every request first. */
export async function startProxy(target: string, mischief: Mischief): Promise<FaultyProxy> {
  const all: Seen[] = [];
  const server = createServer((incoming, response) => {
    const seen: Seen = {
      method: incoming.method ?? "GET",
      url: incoming.url ?? "/",
      headers: incoming.headers,
    };
    all.push(seen);
    const upstream: Upstream = {
      answer: async () => {
        const message = await forward(target, seen);
        return { status: message.statusCode ?? 0, headers: message.headers, body: await readAll(message) };
      },
    };
    (async () => {
      if (await mischief(seen, response, upstream)) return;
      const { status, headers, body } = await upstream.answer();
      response.writeHead(status, headers);
      response.end(seen.method === "HEAD" ? undefined : body);
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    seen: all,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
