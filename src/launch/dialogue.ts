/**
 * One executor process and the dialogue with it on the first descriptor after those it is given. Owns the process until it is told to
 * stay alone (`release`): a shim outlives the program that started it.
 */
import { GantryError, wrapErrno } from "../base/error.ts";
import type { StreamSocket } from "../base/stream-socket.ts";
import { type Child, type ChildOptions, startChild } from "./child.ts";
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
  readonly #child: Child;
  readonly #stream: FrameStream;

  /** Starts an executor, in a session of its own unless told. */
  constructor(options: DialogueOptions) {
    const [stdin = "ignore", stdout = "ignore", stderr = "ignore", ...more] = options.stdio ?? [];
    const dialogue = 3 + more.length;
    this.#child = start([options.executor, options.mode, String(dialogue)], {
      cwd: "/",
      env: options.env ?? {},
      stdio: [stdin, stdout, stderr, ...more],
      detached: !options.sameSession,
    });
    this.#stream = new FrameStream(this.#child.socket, "talk to executor");
    this.#child.exited.catch((error) =>
      this.#stream.fail(wrapErrno(error, "start executor", options.executor)),
    );
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
  get socket(): StreamSocket {
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
    return !this.#child.ended && !this.#stream.ended;
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
  async exited(): Promise<number> {
    try {
      return await this.#child.exited;
    } catch (error) {
      throw new GantryError("unavailable", "start executor", { cause: error });
    }
  }
}

function start(argv: readonly string[], options: ChildOptions): Child {
  try {
    return startChild(argv, options);
  } catch (error) {
    const [path] = argv;
    throw new GantryError("failed-precondition", `start executor "${path}": it cannot be executed`, {
      detail: { path },
      cause: error,
    });
  }
}
