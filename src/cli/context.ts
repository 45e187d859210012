/** What every command is given: where it writes, the global options, and the engine when it asks for one. */

import type { Logger } from "../base/log.ts";
import type { Engine } from "../engine/engine.ts";

export interface GlobalOptions {
  readonly root?: string;
  readonly state?: string;
  readonly diskLimitBytes?: number;
}

export interface CommandContext {
  readonly globals: GlobalOptions;
  readonly logger: Logger;
  /** Aborted when the user interrupts the command. */
  readonly signal: AbortSignal;
  /** Writes text as it is; foreign text goes through `sanitize` first. */
  out(text: string | Uint8Array): void;
  err(text: string | Uint8Array): void;
  /** Whether the reader of standard output has gone: there is no use in going on. */
  readonly closed: boolean;
  /** Opens the engine on first use; it is closed when the command is over. */
  engine(): Promise<Engine>;
  /** Lets the command take over the signals, as `run` does for its container. */
  releaseSignals(): void;
}
