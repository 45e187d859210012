/** A socket of Bun, and what of Bun's sockets is used for it (bun.com/docs/api/tcp). */
import type { SocketEvents, StreamSocket } from "./stream-socket.ts";

interface BunSocket {
  /** Bytes that the kernel has taken; below zero if it is closed. */
  write(bytes: Uint8Array): number;
  /** Ends this side. */
  shutdown(): void;
  /** Closes it at once. */
  terminate(): void;
  pause(): void;
  resume(): void;
  ref(): void;
  unref(): void;
}

interface BunSocketHandlers {
  open(socket: BunSocket): void;
  data(socket: BunSocket, chunk: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: unknown): void;
  error(socket: BunSocket, error: unknown): void;
  connectError(socket: BunSocket, error: unknown): void;
}

interface BunSockets {
  connect(options: {
    readonly fd?: number;
    readonly unix?: string;
    readonly allowHalfOpen?: boolean;
    readonly socket: BunSocketHandlers;
  }): Promise<BunSocket>;
}

/** Undefined under Node. */
export const bunSockets = (globalThis as { readonly Bun?: BunSockets }).Bun;

type Connect = (events: BunSocketHandlers) => Promise<BunSocket>;

export class BunStreamSocket implements StreamSocket {
  /** Resolves when it is connected. */
  readonly opened: Promise<void>;
  #socket: BunSocket | undefined;
  #events: SocketEvents | undefined;
  /** What came before anybody attended. */
  readonly #early: Uint8Array[] = [];
  /** What the kernel has not taken yet. */
  readonly #waiting: Uint8Array[] = [];
  #ending = false;
  #over = false;
  #error: unknown;
  #paused = false;
  #referenced = true;

  constructor(connect: Connect) {
    const opened = connect({
      open: (socket) => this.#open(socket),
      data: (_, chunk) => (this.#events ? this.#events.data(chunk) : void this.#early.push(chunk)),
      drain: () => this.#send(),
      end: () => this.#events?.ended(),
      close: (_, error) => this.#end(error),
      error: (_, error) => this.#end(error),
      connectError: (_, error) => this.#end(error),
    });
    this.opened = opened.then(
      () => {},
      (error) => {
        this.#end(error);
        throw error;
      },
    );
    this.opened.catch(() => {});
  }

  get writable(): boolean {
    return !this.#ending && !this.#over;
  }

  get needsDrain(): boolean {
    return this.#waiting.length > 0 && !this.#over;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  attend(events: SocketEvents): void {
    this.#events = events;
    for (const chunk of this.#early.splice(0)) events.data(chunk);
    if (this.#over) events.ended(this.#error);
  }

  write(bytes: Uint8Array): boolean {
    if (!this.writable) return true;
    this.#waiting.push(bytes);
    return this.#waiting.length === 1 && this.#flush();
  }

  end(): void {
    if (!this.writable) return;
    this.#ending = true;
    if (this.#waiting.length === 0) this.#socket?.shutdown();
  }

  destroy(): void {
    this.#end();
    this.#socket?.terminate();
  }

  pause(): void {
    this.#paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket?.resume();
  }

  ref(): void {
    this.#referenced = true;
    this.#socket?.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.#socket?.unref();
  }

  /** What was asked of it before it was there is done now. */
  #open(socket: BunSocket): void {
    this.#socket = socket;
    if (this.#over) {
      socket.terminate();
      return;
    }
    if (!this.#referenced) socket.unref();
    if (this.#paused) socket.pause();
    if (this.#waiting.length > 0) this.#send();
    else if (this.#ending) socket.shutdown();
  }

  /** What waited goes on. */
  #send(): void {
    if (this.#waiting.length === 0 || !this.#flush()) return;
    if (this.#ending) this.#socket?.shutdown();
    this.#events?.drained();
  }

  /** Whether the kernel has taken all of it. */
  #flush(): boolean {
    const socket = this.#socket;
    while (socket && this.#waiting.length > 0) {
      const first = this.#waiting[0]!;
      const sent = socket.write(first);
      // below zero it is closed, which is told
      if (sent < first.length) {
        if (sent > 0) this.#waiting[0] = first.subarray(sent);
        return false;
      }
      this.#waiting.shift();
    }
    return this.#waiting.length === 0;
  }

  #end(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#waiting.length = 0;
    this.#events?.ended(error);
  }
}
