/**
 * Frames over a connected stream socket, with back-pressure both ways: what nobody takes with `next`
 * stays in the kernel and, behind it, with the sender.
 */
import { wrapErrno } from "../base/error.ts";
import type { StreamSocket } from "../base/stream-socket.ts";
import { type Frame, FrameReader } from "./frames.ts";
import { encodeRequest, type Request } from "./messages.ts";

/** Frames kept before the socket is paused; a chunk of output is at most 32 KiB. */
const pauseAt = 16;

export class FrameStream {
  readonly #socket: StreamSocket;
  readonly #reader: FrameReader;
  readonly #frames: Frame[] = [];
  #wake: (() => void) | undefined;
  /** Who waits for the socket to take more. */
  readonly #held = new Set<() => void>();
  #ended = false;
  #error: unknown;

  /** `what` names the peer in errors ("talk to shim"). */
  constructor(socket: StreamSocket, what: string, limitBytes?: number) {
    this.#socket = socket;
    this.#reader = new FrameReader(limitBytes);
    socket.attend({
      data: (chunk) => this.#receive(chunk),
      drained: () => this.#release(),
      ended: (error) => this.#end(error === undefined ? undefined : wrapErrno(error, what)),
    });
  }

  get socket(): StreamSocket {
    return this.#socket;
  }

  /** Whether the peer has ended it, or it has failed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Sends a request; resolves when the socket would take another. What is sent to one that has gone is dropped. */
  async send(request: Request, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.#socket.writable && !this.#socket.write(encodeRequest(request))) await this.drained(options);
  }

  /** Resolves when the socket takes more, or is closed. */
  async drained({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#socket.needsDrain) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (action: () => void) => () => {
        this.#held.delete(drained);
        signal?.removeEventListener("abort", aborted);
        action();
      };
      const drained = settle(resolve);
      const aborted = settle(() => reject(signal?.reason));
      this.#held.add(drained);
      signal?.addEventListener("abort", aborted);
    });
  }

  #release(): void {
    for (const each of this.#held) each();
  }

  /** The next frame, or undefined at the end of the stream. One reader at a time. */
  async next(options: { readonly signal?: AbortSignal } = {}): Promise<Frame | undefined> {
    const { signal } = options;
    while (this.#frames.length === 0) {
      signal?.throwIfAborted();
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return undefined;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const aborted = () => this.#wake?.();
      signal?.addEventListener("abort", aborted);
      await woken;
      signal?.removeEventListener("abort", aborted);
    }
    const frame = this.#frames.shift();
    if (this.#frames.length < pauseAt / 2 && this.#socket.isPaused) this.#socket.resume();
    return frame;
  }

  /** No more requests from this side. */
  finish(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  /** Ends the stream for a reason that the socket does not know. */
  fail(error: unknown): void {
    this.#end(error);
  }

  #receive(chunk: Uint8Array): void {
    try {
      this.#frames.push(...this.#reader.push(chunk));
    } catch (error) {
      this.#end(error);
      this.#socket.destroy();
      return;
    }
    if (this.#frames.length >= pauseAt) this.#socket.pause();
    this.#wake?.();
  }

  #end(error?: unknown): void {
    if (!this.#ended) this.#error = error;
    this.#ended = true;
    this.#wake?.();
    // half of it may be open still
    if (!this.#socket.needsDrain) this.#release();
  }
}
