/**
 * Executors for a program that starts process after process: from the second one on, the next is started ahead,
 * while the one before works, so that nobody waits for it.
 */
import type { Dialogue } from "./dialogue.ts";
import { startExecutor } from "./launch.ts";

export class ExecutorSupply implements Disposable {
  readonly #path: () => string;
  #spare: Dialogue | undefined;
  #taken = 0;

  /** `path` gives the executor when one is needed. */
  constructor(path: () => string) {
    this.#path = path;
  }

  /** One that waits for its plan, and is the caller's from now on. Closed without a plan, it ends. */
  take(): Dialogue {
    const spare = this.#spare;
    this.#spare = undefined;
    this.#taken++;
    if (!spare?.open) return startExecutor({ executor: this.#path() });
    spare.hold();
    return spare;
  }

  /** To be called where there is nothing to do but wait. */
  prepare(): void {
    // a command starts one and ends
    if (this.#taken < 2 || this.#spare?.open) return;
    this.#spare = startExecutor({ executor: this.#path() });
    this.#spare.release();
  }

  [Symbol.dispose](): void {
    this.#spare?.close();
    this.#spare = undefined;
    this.#taken = 0;
  }
}
