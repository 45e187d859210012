/** Receivers of log lines that a test opens itself: of datagrams at a unix socket, of UDP, of streams. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once as event } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { must } from "./command.ts";
import { fixtures, once } from "./fixtures.ts";
import { top } from "./sandbox.ts";
import { until } from "./until.ts";

export interface Receiver extends AsyncDisposable {
  /** Of UDP and TCP. */
  readonly port: number;
  /** What has come so far: datagrams, or the lines of all streams. */
  readonly messages: readonly Buffer[];
  /** Waits until so many have come. */
  atLeast(count: number): Promise<readonly Buffer[]>;
}

export interface TlsReceiver extends Receiver {
  /** What is sent stays with the kernel. */
  takeNothing(): void;
  takeAgain(): void;
}

function receiver(messages: Buffer[], port: number, close: () => Promise<unknown>): Receiver {
  return {
    port,
    messages,
    async atLeast(count) {
      await until(`${count} messages`, () => messages.length >= count, 20_000);
      return messages;
    },
    async [Symbol.asyncDispose]() {
      await close();
    },
  };
}

async function program(): Promise<string> {
  const source = join(top, "test/lib/datagram-receiver.c");
  const stamp = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 12);
  return await once(join(fixtures, `datagram-receiver-${stamp}`), async (temporary) => {
    await must(["cc", "-O1", "-static", "-Wall", "-Wextra", "-Werror", "-o", temporary, source]);
  });
}

/** node: has no datagrams of unix sockets. */
export async function receiveDatagrams(path: string): Promise<Receiver & { readonly pid: number }> {
  const child = spawn(await program(), [path], { stdio: ["pipe", "pipe", "inherit"] });
  const messages: Buffer[] = [];
  let text = "";
  let ready = false;
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const line of lines) {
      if (ready) messages.push(Buffer.from(line, "hex"));
      ready = true;
    }
  });
  await until("the receiver listens", () => ready);
  const exited = event(child, "exit");
  const close = async () => {
    child.kill("SIGCONT");
    child.stdin.end();
    await exited;
  };
  return { ...receiver(messages, 0, close), pid: child.pid! };
}

export async function receiveUdp(host = "127.0.0.1"): Promise<Receiver> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const messages: Buffer[] = [];
  socket.on("message", (message) => messages.push(message));
  socket.bind(0, host);
  await event(socket, "listening");
  return receiver(messages, socket.address().port, async () => {
    socket.close();
  });
}

const anyPort: ListenOptions = { port: 0, host: "127.0.0.1" };

/** Streams by TCP, or at a unix socket. */
export async function receiveStreams(at = anyPort): Promise<Receiver> {
  return await receiveLines(createServer(), "connection", at);
}

/** Streams over TLS. */
export async function receiveTls(options: TlsOptions, at = anyPort): Promise<TlsReceiver> {
  const server = createTlsServer(options);
  const connections = new Set<Socket>();
  let stopped = false;
  server.on("secureConnection", (connection) => {
    connections.add(connection);
    if (stopped) connection.pause();
  });
  return {
    ...(await receiveLines(server, "secureConnection", at)),
    takeNothing() {
      stopped = true;
      for (const connection of connections) connection.pause();
    },
    takeAgain() {
      stopped = false;
      for (const connection of connections) connection.resume();
    },
  };
}

async function receiveLines(server: Server, kind: string, at: ListenOptions): Promise<Receiver> {
  const messages: Buffer[] = [];
  const connections = new Set<Socket>();
  server.on(kind, (connection: Socket) => {
    connections.add(connection);
    let rest = Buffer.alloc(0);
    connection.on("error", () => {});
    connection.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk as Buffer]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        messages.push(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
      }
    });
  });
  server.listen(at);
  await event(server, "listening");
  const address = server.address();
  return receiver(messages, typeof address === "object" ? (address as AddressInfo).port : 0, async () => {
    for (const connection of connections) connection.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
}
