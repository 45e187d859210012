/**
 * One executor process and the dialogue with it on descriptor 3. Owns the process until it is told to
 * stay alone (`release`): a shim outlives the program that started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { GantryError, wrapErrno } from "../base/error.ts";
import { encodeFrame, type Frame, FrameReader } from "./frames.ts";

export interface DialogueOptions {
  /** Path of the executor, as findExecutor gives it. */
  readonly executor: string;
  /** `dialogue`: one plan. `layers`: plans of a layer session until the stream ends. */
  readonly mode: "dialogue" | "layers";
  /** Descriptors or "ignore" for the executor's 0, 1 and 2; all ignored unless told. */
  readonly stdio?: readonly ("ignore" | "inherit" | number)[];
  /** Environment of the executor itself; empty unless told. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Dialogue {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #frames: Frame[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  #error: unknown;

  /** Starts an executor in a session of its own. */
  constructor(options: DialogueOptions) {
    const [stdin = "ignore", stdout = "ignore", stderr = "ignore"] = options.stdio ?? [];
    this.#child = spawn(options.executor, [options.mode, "3"], {
      cwd: "/",
      env: options.env ?? {},
      stdio: [stdin, stdout, stderr, "pipe"],
      detached: true,
    });
    this.#child.on("error", (error) => this.#end(wrapErrno(error, "start executor", options.executor)));
    this.#socket = this.#child.stdio[3] as unknown as Socket;
    this.#socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    this.#socket.on("end", () => this.#end());
    this.#socket.on("close", () => this.#end());
    this.#socket.on("error", (error) => this.#end(wrapErrno(error, "talk to executor")));
  }

  /** Process id of the executor; undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The underlying stream, for back-pressure. */
  get socket(): Socket {
    return this.#socket;
  }

  #receive(chunk: Uint8Array): void {
    try {
      this.#frames.push(...this.#reader.push(chunk));
    } catch (error) {
      this.#end(error);
      this.#socket.destroy();
      return;
    }
    // an unread backlog pauses the executor's side: memory stays flat whatever the container prints
    if (this.#frames.length > 64) this.#socket.pause();
    this.#wake?.();
  }

  #end(error?: unknown): void {
    if (this.#error === undefined && error !== undefined) this.#error = error;
    this.#ended = true;
    this.#wake?.();
  }

  /** Sends a frame; false if the caller should wait for `drained` before it sends much more. */
  send(type: number, payload?: Uint8Array): boolean {
    return this.#socket.writable ? this.#socket.write(encodeFrame(type, payload)) : true;
  }

  /** Resolves when the socket takes more. */
  async drained(): Promise<void> {
    if (!this.#socket.writableNeedDrain || this.#ended) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
  }

  /** The next frame, or undefined at the end of the dialogue. One reader at a time. */
  async next(): Promise<Frame | undefined> {
    while (this.#frames.length === 0) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const frame = this.#frames.shift();
    if (this.#frames.length < 16 && this.#socket.isPaused()) this.#socket.resume();
    return frame;
  }

  /** No more frames from this side. */
  finish(): void {
    this.#socket.end();
  }

  /** Lets this program end while the executor lives on. */
  release(): void {
    this.#child.unref();
    (this.#socket as unknown as { unref?: () => void }).unref?.();
  }

  /** Closes the connection; a plan that has not passed its start is undone by that. */
  close(): void {
    this.#socket.destroy();
    this.#child.unref();
    this.#end();
  }

  /** Resolves with the exit status when the process has ended. */
  exited(): Promise<number> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode ?? 255);
    return new Promise((resolve, reject) => {
      child.once("exit", (code) => resolve(code ?? 255));
      child.once("error", (error) => reject(new GantryError("unavailable", "start executor", { cause: error })));
    });
  }
}
