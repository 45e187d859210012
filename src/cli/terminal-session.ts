/**
 * The user's side of a container's terminal: its size, raw mode, and the keys that let go of it. Loaded only for
 * containers that have one.
 */
import { isatty } from "node:tty";
import type { TerminalSize } from "../bundle/exec-process.ts";
import { findExecutor } from "../launch/executor.ts";
import { OuterTerminal } from "../launch/outer-terminal.ts";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";

export interface TerminalSessionOptions {
  /** Whether what is typed goes to the container. */
  readonly stdin: boolean;
  /** As written on the command line. */
  readonly detachKeys: string | undefined;
  /** What the command ends with when the keys were typed. */
  readonly detachStatus: number;
  /** Whether the program has drawn its screen before we came, and should do so again. */
  readonly redraw?: boolean;
}

export class TerminalSession implements AsyncDisposable {
  readonly scanner: DetachScanner;
  readonly detachStatus: number;
  readonly #outer: OuterTerminal | undefined;
  readonly #options: TerminalSessionOptions;
  #over: Promise<void> | undefined;

  private constructor(outer: OuterTerminal | undefined, options: TerminalSessionOptions) {
    this.scanner = new DetachScanner(parseDetachKeys(options.detachKeys));
    this.detachStatus = options.detachStatus;
    this.#outer = outer;
    this.#options = options;
  }

  static async open(options: TerminalSessionOptions): Promise<TerminalSession> {
    // before anything is started: they may be wrong
    parseDetachKeys(options.detachKeys);
    const fd = ([0, 1] as const).find((each) => isatty(each));
    const outer = fd === undefined ? undefined : await OuterTerminal.open(findExecutor(), fd);
    return new TerminalSession(outer, options);
  }

  /** Undefined where nothing here is a terminal, or it does not know its size. */
  get size(): TerminalSize | undefined {
    const size = this.#outer?.size;
    return size && size.rows > 0 && size.columns > 0 ? size : undefined;
  }

  /** The container has the terminal from here on; `resize` tells it of every size. */
  async begin(resize: (size: TerminalSize) => Promise<void>): Promise<void> {
    if (this.#options.stdin && isatty(0)) await this.#outer?.makeRaw();
    let last = Promise.resolve();
    // one after the other, so that the last word is the last size; a program that has just ended needs none
    const follow = (size: TerminalSize) => {
      last = last.then(() => resize(size)).catch(() => {});
    };
    this.#outer?.onResize(follow);
    const { size } = this;
    if (!size) return;
    if (this.#options.redraw) follow({ rows: size.rows + 1, columns: size.columns + 1 });
    follow(size);
  }

  /** The terminal is the user's again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over ??= this.#outer?.[Symbol.asyncDispose]();
    await this.#over;
  }
}
