/**
 * qemu's processors, each in a thread of its own, may go on with code that the kernel inside has replaced: it is
 * translated by one while another writes it (seen with 7.2). Linux patches itself as it runs, by way of breakpoints, so
 * what is stale is a breakpoint that is taken for ever. Once all translations are dropped it goes on where it was.
 */
import { existsSync, readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { compiled } from "../lib/compiled.ts";

export const remedy = compiled("test/vm/stale-code.c", ["-shared", "-fPIC"]);

/** What the kernel prints of a processor that does not get on; it is told to do so after twice `watchdog_thresh` seconds. */
const stuck = /soft lockup - CPU/g;
export const stuckArgument = "watchdog_thresh=4";

const lookMs = 2000;

/** Has the translations dropped whenever the kernel says on its console that a processor is stuck. */
export class StaleCode implements Disposable {
  readonly #timer: NodeJS.Timeout;
  readonly #console: string;
  readonly #line: Duplex;
  #seen = 0;
  #drops = 0;

  /** `line` is descriptor 3 of a qemu that has the remedy preloaded. */
  constructor(consoleLog: string, line: Duplex) {
    this.#console = consoleLog;
    this.#line = line;
    line.on("data", (answers: Buffer) => {
      this.#drops += answers.filter((answer) => answer === 0x2b).length;
    });
    line.on("error", () => {});
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  /** How often that was done. */
  get drops(): number {
    return this.#drops;
  }

  #look(): void {
    if (!existsSync(this.#console)) return;
    const complaints = [...readFileSync(this.#console, "utf8").matchAll(stuck)].length;
    if (complaints === this.#seen) return;
    this.#seen = complaints;
    this.#line.write("!");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
