/** What a command is: its options, its arguments, its help, and what it does. */

import type { CommandContext } from "./context.ts";
import type { OptionTable, ValuesOf } from "./options.ts";

export interface Invocation<O extends OptionTable> {
  readonly values: ValuesOf<O>;
  readonly positionals: readonly string[];
  /** Names of the options that stood on the command line. */
  readonly given: ReadonlySet<string>;
}

export interface Command<O extends OptionTable = OptionTable> {
  /** As typed: `run`, `registry serve`. */
  readonly name: string;
  /** What follows the name: `[OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  readonly usage: string;
  readonly summary: string;
  readonly options: O;
  /** The first argument ends the options; what follows belongs to the container. */
  readonly stopsAtFirstArgument?: boolean;
  readonly minArguments: number;
  /** Absent: any number. */
  readonly maxArguments?: number;
  /** Lines shown under "Examples:". */
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  /** More to say, between summary and options. */
  readonly about?: string;
  /** Resolves to the exit status. */
  run(context: CommandContext, invocation: Invocation<O>): Promise<number>;
}

/** Types the values of `run` by the options beside it. */
export function defineCommand<const O extends OptionTable>(command: Command<O>): Command<O> {
  return command;
}
