/**
 * Starts a process that has one more descriptor: a socket to this program. By Bun itself where it is there, for the
 * same reason as sockets (src/base/stream-socket.ts).
 */
import type { Socket } from "node:net";
import { NodeStreamSocket } from "../base/node-stream-socket.ts";
import { type StreamSocket, socketOfDescriptor } from "../base/stream-socket.ts";

export interface ChildOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of descriptors 0, 1, 2 and further ones; the socket comes behind them. */
  readonly stdio: readonly ("ignore" | "inherit" | number)[];
  /** In a session of its own. */
  readonly detached: boolean;
}

export interface Child {
  /** Undefined if it could not be started. */
  readonly pid: number | undefined;
  readonly socket: StreamSocket;
  /** Whether its end is known. */
  readonly ended: boolean;
  /** Resolves with its exit status, 255 after a signal; rejects if it could not be started. */
  readonly exited: Promise<number>;
  ref(): void;
  unref(): void;
}

interface BunChild {
  readonly pid: number;
  readonly stdio: readonly unknown[];
  readonly exited: Promise<number>;
  readonly exitCode: number | null;
  readonly signalCode: string | null;
  ref(): void;
  unref(): void;
}

interface BunSpawn {
  spawn(
    argv: readonly string[],
    options: Omit<ChildOptions, "stdio"> & { readonly stdio: readonly unknown[] },
  ): BunChild;
}

const bun = (globalThis as { readonly Bun?: BunSpawn }).Bun;

/** Throws if the program cannot be executed, or `exited` rejects with that. */
export function startChild(argv: readonly string[], options: ChildOptions): Child {
  return bun ? startWithBun(bun, argv, options) : startWithNode(argv, options);
}

function startWithBun(host: BunSpawn, argv: readonly string[], options: ChildOptions): Child {
  const { stdio } = options;
  const child = host.spawn(argv, { ...options, stdio: [...stdio, "pipe"] });
  return {
    pid: child.pid,
    socket: socketOfDescriptor(child.stdio[stdio.length] as number),
    get ended() {
      return child.exitCode !== null || child.signalCode !== null;
    },
    get exited() {
      return child.exited.then(() => child.exitCode ?? 255);
    },
    ref: () => child.ref(),
    unref: () => child.unref(),
  };
}

function startWithNode([program = "", ...args]: readonly string[], options: ChildOptions): Child {
  const { stdio } = options;
  const { spawn } = process.getBuiltinModule("node:child_process");
  const child = spawn(program, args, { ...options, stdio: [...stdio, "pipe"] });
  const exited = new Promise<number>((resolve, reject) => {
    child.once("exit", (code) => resolve(code ?? 255));
    child.once("error", reject);
  });
  exited.catch(() => {});
  return {
    pid: child.pid,
    socket: new NodeStreamSocket((child.stdio as readonly unknown[])[stdio.length] as Socket),
    get ended() {
      return child.exitCode !== null || child.signalCode !== null;
    },
    exited,
    ref: () => child.ref(),
    unref: () => child.unref(),
  };
}
