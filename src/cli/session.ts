/** One running command: its engine, its logger, its interruption, and how its failure is told. */
import { resolve } from "node:path";
import { GantryError, isGantryError } from "../base/error.ts";
import { createLogger, formatLogLine, type Logger, type LogLevel, logLevels } from "../base/log.ts";
import type { Engine } from "../engine/engine.ts";
import { defaultPlaces } from "../engine/store-layout.ts";
import type { Command } from "./command.ts";
import type { CommandContext, GlobalOptions } from "./context.ts";
import { errorText, exitStatusOf } from "./error-text.ts";
import { Interrupted } from "./interrupted.ts";
import type { Output } from "./output.ts";

export interface SessionOptions {
  readonly root: string | undefined;
  readonly state: string | undefined;
  readonly "disk-limit": number | undefined;
  readonly "log-level": string | undefined;
  readonly debug: boolean;
}

export class Session implements CommandContext, AsyncDisposable {
  readonly globals: GlobalOptions;
  readonly logger: Logger;
  readonly #output: Output;
  readonly #debug: boolean;
  readonly #controller = new AbortController();
  readonly #interrupted = (name: NodeJS.Signals) => this.#controller.abort(new Interrupted(name));
  #engine: Promise<Engine> | undefined;

  constructor(options: SessionOptions, output: Output) {
    this.globals = {
      ...(options.root === undefined ? {} : { root: options.root }),
      ...(options.state === undefined ? {} : { state: options.state }),
      ...(options["disk-limit"] === undefined ? {} : { diskLimitBytes: options["disk-limit"] }),
    };
    this.#output = output;
    this.#debug = options.debug || options["log-level"] === "debug";
    const level = this.#debug ? "debug" : (options["log-level"] ?? "warn");
    if (!(logLevels as readonly string[]).includes(level))
      throw new GantryError("invalid-argument", `unable to parse logging level: ${level}`);
    this.logger = createLogger(level as LogLevel, (at, message, fields) =>
      this.err(`${formatLogLine(at, message, fields)}\n`),
    );
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, this.#interrupted);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  out(text: string | Uint8Array): void {
    this.#output.out(text);
  }

  err(text: string | Uint8Array): void {
    this.#output.err(text);
  }

  get closed(): boolean {
    return this.#output.closed;
  }

  engine(): Promise<Engine> {
    this.#engine ??= this.#open();
    return this.#engine;
  }

  async #open(): Promise<Engine> {
    const { Engine } = await import("../engine/engine.ts");
    return await Engine.open({ ...this.globals, logger: this.logger, helper: helper(this.globals) });
  }

  releaseSignals(): void {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(name, this.#interrupted);
  }

  /** Tells a failure and gives the exit status. */
  fail(command: Command, error: unknown): number {
    // whatever fails after the user has ended the command fails because of that
    const reason: unknown = this.signal.aborted ? this.signal.reason : error;
    if (reason instanceof Interrupted) return 128 + reason.number;
    this.err(errorText(error, command.name));
    if (this.#debug) this.err(`${causes(error)}\n`);
    return exitStatusOf(error, command.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.releaseSignals();
    await (await this.#engine?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }
}

/** How a shim, whose folder and environment are others, reaches this program again. */
function helper(globals: GlobalOptions): readonly string[] {
  const places = { ...defaultPlaces(), ...globals };
  // a compiled Bun program reports itself as execPath; under `bun main.ts` the script comes second
  const self = process.argv[1]?.startsWith("/$bunfs/")
    ? [process.execPath]
    : [process.execPath, process.argv[1]!];
  return [...self, "--root", resolve(places.root), "--state", resolve(places.state), "internal"];
}

/** The chain of causes with codes and facts, for --debug. */
function causes(error: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = error; at instanceof Error && lines.length < 20; at = at.cause) {
    lines.push(
      isGantryError(at)
        ? `  ${at.code}: ${at.message} ${JSON.stringify(at.detail)}`
        : `  ${at.stack ?? `${at.name}: ${at.message}`}`,
    );
  }
  return lines.join("\n");
}
