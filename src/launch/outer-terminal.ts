/**
 * The terminal of the user while a container has it. An executor in the user's session knows its size and holds it in
 * raw mode: it sets the terminal as it was however this program ends.
 */
import { GantryError } from "../base/error.ts";
import type { TerminalSize } from "../bundle/exec-process.ts";
import { errnoName } from "../linux/errno.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan } from "../plan/plan.ts";
import { requests } from "../plan/protocol.ts";
import { Dialogue } from "./dialogue.ts";
import { decodeReply, type Reply } from "./messages.ts";
import { decodeFailure, failureError } from "./report.ts";

export class OuterTerminal implements AsyncDisposable {
  readonly #plan: Plan;
  readonly #dialogue: Dialogue;
  readonly #ended: Promise<number>;
  #size: TerminalSize = { rows: 0, columns: 0 };
  #onResize: (size: TerminalSize) => void = () => {};
  #answered: PromiseWithResolvers<void> | undefined;

  private constructor(executor: string, fd: number) {
    this.#plan = { host: [{ op: "watch-terminal", where: "", terminal: fd }], child: [], cleanup: [] };
    this.#dialogue = new Dialogue({
      executor,
      mode: "dialogue",
      stdio: ["inherit", "inherit"],
      sameSession: true,
    });
    this.#ended = this.#dialogue.exited();
    this.#ended.catch(() => {});
    this.#dialogue.send(requests.plan, encodePlan(this.#plan));
  }

  /** `fd`: 0 or 1 of this program. */
  static async open(executor: string, fd: 0 | 1): Promise<OuterTerminal> {
    const terminal = new OuterTerminal(executor, fd);
    const first = await terminal.#next();
    if (first?.kind !== "size") {
      terminal.#dialogue.close();
      throw new GantryError("unavailable", "watch terminal: the executor ended without a report");
    }
    terminal.#size = first;
    void terminal.#listen();
    return terminal;
  }

  async #next(): Promise<Reply | undefined> {
    const frame = await this.#dialogue.next();
    const reply = frame && decodeReply(frame);
    if (reply?.kind === "failed") throw failureError(this.#plan, decodeFailure(reply.payload));
    return reply;
  }

  async #listen(): Promise<void> {
    try {
      for (;;) {
        const reply = await this.#next();
        if (reply === undefined) break;
        if (reply.kind === "size") {
          this.#size = reply;
          this.#onResize(reply);
        } else if (reply.kind === "answer") {
          if (reply.errno === 0) this.#answered?.resolve();
          else
            this.#answered?.reject(
              new GantryError("unavailable", `set terminal to raw mode: ${errnoName(reply.errno)}`),
            );
        }
      }
      this.#answered?.reject(new GantryError("unavailable", "set terminal to raw mode: the executor ended"));
    } catch (error) {
      this.#answered?.reject(error);
    }
  }

  get size(): TerminalSize {
    const { rows, columns } = this.#size;
    return { rows, columns };
  }

  /** Told of every new size from now on. */
  onResize(told: (size: TerminalSize) => void): void {
    this.#onResize = told;
  }

  /** What is typed comes byte by byte and unseen from here on. */
  async makeRaw(): Promise<void> {
    this.#answered = Promise.withResolvers();
    this.#dialogue.send(requests.go);
    await this.#answered.promise;
  }

  /** Sets the terminal as it was. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#onResize = () => {};
    this.#dialogue.finish();
    await this.#ended;
    this.#dialogue.close();
  }
}
