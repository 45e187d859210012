/**
 * One executor process and the dialogue with it on the first descriptor after those it is given. Owns the process until it is told to
 * stay alone (`release`): a shim outlives the program that started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { GantryError, wrapErrno } from "../base/error.ts";
import { FrameStream } from "./frame-stream.ts";
import { encodeFrame, type Frame } from "./frames.ts";

export interface DialogueOptions {
  /** Path of the executor, as findExecutor gives it. */
  readonly executor: string;
  /** `dialogue`: one plan. `layers`: plans of a layer session until the stream ends. */
  readonly mode: "dialogue" | "layers";
  /** Descriptors or "ignore" for the executor's 0, 1, 2 and further ones; the first three ignored unless told. */
  readonly stdio?: readonly ("ignore" | "inherit" | number)[];
  /** Stay in the caller's session and job, as who works with its terminal must. */
  readonly sameSession?: boolean;
  /** Environment of the executor itself; empty unless told. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Dialogue {
  readonly #child: ChildProcess;
  readonly #stream: FrameStream;

  /** Starts an executor, in a session of its own unless told. */
  constructor(options: DialogueOptions) {
    const [stdin = "ignore", stdout = "ignore", stderr = "ignore", ...more] = options.stdio ?? [];
    const dialogue = 3 + more.length;
    this.#child = spawn(options.executor, [options.mode, String(dialogue)], {
      cwd: "/",
      env: options.env ?? {},
      stdio: [stdin, stdout, stderr, ...more, "pipe"],
      detached: !options.sameSession,
    });
    const socket = (this.#child.stdio as readonly unknown[])[dialogue] as unknown as Socket | null;
    this.#child.on("error", (error) =>
      this.#stream?.fail(wrapErrno(error, "start executor", options.executor)),
    );
    // Bun gives no pipes to a program that it could not start, and tells of that later
    if (!socket)
      throw new GantryError(
        "failed-precondition",
        `start executor "${options.executor}": it cannot be executed`,
        {
          detail: { path: options.executor },
        },
      );
    this.#stream = new FrameStream(socket, "talk to executor");
  }

  /** Process id of the executor; undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The frames to and from it. */
  get stream(): FrameStream {
    return this.#stream;
  }

  /** The underlying socket. */
  get socket(): Socket {
    return this.#stream.socket;
  }

  /** Sends a frame; false if the caller should wait for `drained` before it sends much more. */
  send(type: number, payload?: Uint8Array): boolean {
    return this.socket.writable ? this.socket.write(encodeFrame(type, payload)) : true;
  }

  /** Resolves when the socket takes more. */
  drained(): Promise<void> {
    return this.#stream.drained();
  }

  /** The next frame, or undefined at the end of the dialogue. One reader at a time. */
  next(): Promise<Frame | undefined> {
    return this.#stream.next();
  }

  /** No more frames from this side. */
  finish(): void {
    this.#stream.finish();
  }

  /** False once its end is known. */
  get open(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && !this.#stream.ended;
  }

  /** Lets this program end while the executor lives on. */
  release(): void {
    this.#child.unref();
    this.socket.unref();
  }

  /** Takes `release` back. */
  hold(): void {
    this.#child.ref();
    this.socket.ref();
  }

  /** Closes the connection; a plan that has not passed its start is undone by that. */
  close(): void {
    this.#stream.close();
    this.#child.unref();
  }

  /** Resolves with the exit status when the process has ended. */
  exited(): Promise<number> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode ?? 255);
    return new Promise((resolve, reject) => {
      child.once("exit", (code) => resolve(code ?? 255));
      child.once("error", (error) =>
        reject(new GantryError("unavailable", "start executor", { cause: error })),
      );
    });
  }
}
