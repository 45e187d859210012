/**
 * Command-line options with the rules that docker's users have in their fingers: `--name value`, `--name=value`,
 * `-e value`, `-evalue`, `-it`, `--flag=false`, `--` ends the options, and for commands that start another command
 * the first positional argument ends them too. Pure.
 */

/** A mistake in the arguments: printed with the usage of the command, exit status 125. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

interface OptionBase<T> {
  /** One letter. */
  readonly short?: string;
  readonly help: string;
  /** The word for the value in the help; a flag has none. */
  readonly value?: string;
  readonly isFlag: boolean;
  readonly initial: T;
  /** Left out of the help: accepted for compatibility. */
  readonly hidden?: boolean;
  /** Called for every occurrence. */
  readonly take: (previous: T, text: string) => T;
}

/** One option; `T` is what the parsed command gets. */
export type Option<T> = OptionBase<T>;

interface Common {
  readonly short?: string;
  readonly hidden?: boolean;
}

const truths: Readonly<Record<string, boolean>> = {
  ...{ true: true, TRUE: true, True: true, t: true, T: true, "1": true },
  ...{ false: false, FALSE: false, False: false, f: false, F: false, "0": false },
};

/** `--name`, `--name=false`; `fallback` is the value when it is absent. */
export function flag(help: string, options: Common & { readonly fallback?: boolean } = {}): Option<boolean> {
  return {
    ...options,
    help,
    isFlag: true,
    initial: options.fallback ?? false,
    take(_, text) {
      const value = truths[text];
      if (value === undefined) throw new Error(`parsing ${JSON.stringify(text)}: invalid syntax`);
      return value;
    },
  };
}

/** An option with a text value; the last occurrence wins. */
export function text(
  help: string,
  options: Common & { readonly value?: string; readonly check?: (text: string) => void } = {},
): Option<string | undefined> {
  return {
    ...options,
    help,
    value: options.value ?? "string",
    isFlag: false,
    initial: undefined,
    take(_, given) {
      options.check?.(given);
      return given;
    },
  };
}

/** An option whose value `parse` understands; it throws an Error with the reason. */
export function parsed<T>(
  help: string,
  value: string,
  parse: (text: string) => T,
  options: Common = {},
): Option<T | undefined> {
  return { ...options, help, value, isFlag: false, initial: undefined, take: (_, given) => parse(given) };
}

/** An option that may be given several times. */
export function list(help: string, options?: Common & { readonly value?: string }): Option<readonly string[]>;
export function list<T>(
  help: string,
  options: Common & { readonly value?: string; readonly parse: (text: string) => T },
): Option<readonly T[]>;
export function list<T>(
  help: string,
  options: Common & { readonly value?: string; readonly parse?: (text: string) => T } = {},
): Option<readonly (T | string)[]> {
  return {
    ...options,
    help,
    value: options.value ?? "list",
    isFlag: false,
    initial: [],
    take: (previous, given) => [...previous, options.parse ? options.parse(given) : given],
  };
}

/** A whole number within bounds. */
export function whole(
  help: string,
  options: Common & { readonly min?: number; readonly max?: number } = {},
): Option<number | undefined> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER, ...common } = options;
  return parsed(
    help,
    "int",
    (given) => {
      const value = Number(given);
      if (!/^[+-]?\d+$/.test(given)) throw new Error(`parsing ${JSON.stringify(given)}: invalid syntax`);
      if (!Number.isSafeInteger(value) || value < min || value > max)
        throw new Error(`parsing ${JSON.stringify(given)}: value out of range`);
      return value;
    },
    common,
  );
}

// biome-ignore lint/suspicious/noExplicitAny: an option of any value type; values come out typed again below
export type OptionTable = Readonly<Record<string, Option<any>>>;

export type ValuesOf<O extends OptionTable> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never;
};

export interface ParsedArguments<O extends OptionTable> {
  readonly values: ValuesOf<O>;
  readonly positionals: readonly string[];
  /** Names of the options that were given. */
  readonly given: ReadonlySet<string>;
  readonly help: boolean;
}

/**
 * Parses `args` by the table, whose keys are the long names without dashes. With `interspersed` false the first
 * positional argument ends the options.
 */
export function parseArguments<O extends OptionTable>(
  table: O,
  args: readonly string[],
  interspersed = true,
): ParsedArguments<O> {
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(table)) values[name] = option.initial;
  const given = new Set<string>();
  const positionals: string[] = [];
  const longOf = new Map(
    Object.entries(table).flatMap(([name, option]) => (option.short ? [[option.short, name]] : [])),
  );
  let help = false;
  let index = 0;

  const take = (name: string, value: string) => {
    const option = table[name]!;
    try {
      values[name] = option.take(values[name], value);
    } catch (error) {
      const shown = option.short ? `-${option.short}, --${name}` : `--${name}`;
      throw new UsageError(
        `invalid argument ${JSON.stringify(value)} for "${shown}" flag: ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
    given.add(name);
  };

  const takeLong = (argument: string) => {
    const equals = argument.indexOf("=");
    const name = argument.slice(2, equals < 0 ? undefined : equals);
    const inline = equals < 0 ? undefined : argument.slice(equals + 1);
    if (name === "help" && !Object.hasOwn(table, "help")) help = true;
    else if (!Object.hasOwn(table, name)) throw new UsageError(`unknown flag: --${name}`);
    else if (table[name]!.isFlag) take(name, inline ?? "true");
    else if (inline !== undefined) take(name, inline);
    else if (index < args.length) take(name, args[index++]!);
    else throw new UsageError(`flag needs an argument: --${name}`);
  };

  const takeShorts = (argument: string) => {
    for (let at = 1; at < argument.length; at++) {
      const letter = argument[at]!;
      const name = longOf.get(letter);
      const rest = argument.slice(at + 1);
      if (name === undefined) {
        if (letter === "h") {
          help = true;
          continue;
        }
        throw new UsageError(`unknown shorthand flag: '${letter}' in -${argument.slice(at)}`);
      }
      if (table[name]!.isFlag) {
        if (!rest.startsWith("=")) {
          take(name, "true");
          continue;
        }
        take(name, rest.slice(1));
      } else if (rest !== "") take(name, rest.startsWith("=") ? rest.slice(1) : rest);
      else if (index < args.length) take(name, args[index++]!);
      else throw new UsageError(`flag needs an argument: '${letter}' in -${argument.slice(at)}`);
      return;
    }
  };

  while (index < args.length) {
    const argument = args[index++]!;
    if (argument === "--") {
      positionals.push(...args.slice(index));
      break;
    }
    if (argument.startsWith("--")) takeLong(argument);
    else if (argument.startsWith("-") && argument !== "-") takeShorts(argument);
    else {
      positionals.push(argument);
      if (!interspersed) {
        positionals.push(...args.slice(index));
        break;
      }
    }
  }
  return { values: values as ValuesOf<O>, positionals, given, help };
}

/** The option lines of a help page, wrapped to `width` columns. */
export function describeOptions(table: OptionTable, width = 80): string {
  const rows = Object.entries(table)
    .filter(([, option]) => !option.hidden)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, option]) => {
      const head = `  ${option.short ? `-${option.short}, ` : "    "}--${name}${option.value ? ` ${option.value}` : ""}`;
      return [head, option.help] as const;
    });
  const column = Math.max(0, ...rows.map(([head]) => head.length)) + 3;
  return rows.map(([head, help]) => head.padEnd(column) + wrap(help, width - column, column)).join("\n");
}

function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`);
}
