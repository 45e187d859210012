/** A socket of Node. */
import type { Socket } from "node:net";
import type { SocketEvents, StreamSocket } from "./stream-socket.ts";

export class NodeStreamSocket implements StreamSocket {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    // until somebody attends; it is told then that it has ended
    socket.on("error", () => {});
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  get needsDrain(): boolean {
    return this.#socket.writableNeedDrain && !this.#socket.destroyed;
  }

  get isPaused(): boolean {
    return this.#socket.isPaused();
  }

  attend(events: SocketEvents): void {
    const socket = this.#socket;
    socket.on("data", (chunk: Uint8Array) => events.data(chunk));
    socket.on("drain", () => events.drained());
    socket.on("end", () => events.ended());
    socket.on("close", () => events.ended());
    socket.on("error", (error) => events.ended(error));
    if (socket.destroyed) events.ended(socket.errored ?? undefined);
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }
}
