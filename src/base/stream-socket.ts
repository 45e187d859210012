/**
 * Connected stream sockets, as Bun has them or as Node has them. Bun's are used directly: in a program that has just
 * started, loading Node's streams into Bun takes longer than starting a container.
 */
import { BunStreamSocket, bunSockets } from "./bun-stream-socket.ts";
import { NodeStreamSocket } from "./node-stream-socket.ts";

export interface SocketEvents {
  data(chunk: Uint8Array): void;
  /** All that was written is with the kernel. */
  drained(): void;
  /** The peer sends no more, or the connection has failed. Comes once or more. */
  ended(error?: unknown): void;
}

export interface StreamSocket {
  /** False once it is ended from this side or closed. */
  readonly writable: boolean;
  /** Whether what was written waits for the peer. */
  readonly needsDrain: boolean;
  readonly isPaused: boolean;
  /** To be called once. What came before is told then. */
  attend(events: SocketEvents): void;
  /** False if some of it has to wait. The bytes must stay as they are until it is drained. */
  write(bytes: Uint8Array): boolean;
  /** No more from this side, behind what was written. */
  end(): void;
  destroy(): void;
  pause(): void;
  resume(): void;
  /** Whether this program waits for it: it does unless told. */
  ref(): void;
  unref(): void;
}

export interface SocketOptions {
  /** Stay writable when the peer sends no more. */
  readonly allowHalfOpen?: boolean;
}

/** The socket behind a descriptor, which is the socket's from now on. */
export function socketOfDescriptor(fd: number, options: SocketOptions = {}): StreamSocket {
  const bun = bunSockets;
  if (bun) return new BunStreamSocket((socket) => bun.connect({ ...options, fd, socket }));
  const { Socket } = process.getBuiltinModule("node:net");
  return new NodeStreamSocket(new Socket({ ...options, fd }));
}

/** Resolves when it is connected; rejects with the error of connect(2). */
export async function connectSocket(path: string, options: SocketOptions = {}): Promise<StreamSocket> {
  const bun = bunSockets;
  if (bun) {
    const connected = new BunStreamSocket((socket) => bun.connect({ ...options, unix: path, socket }));
    await connected.opened;
    return connected;
  }
  const socket = process.getBuiltinModule("node:net").connect({ ...options, path });
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return new NodeStreamSocket(socket);
}
