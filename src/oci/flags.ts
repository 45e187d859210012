/**
 * Flags as runc takes them: `--name value`, `--name=value`, `-n value`, one dash as good as two, and no
 * flags after the first argument. No library: this command starts thousands of times an hour.
 */
import { GantryError } from "../base/error.ts";

/** `text` takes a value, `texts` may be given again, `switch` is on or off (`--x=false`). */
export type FlagKind = "text" | "texts" | "switch";

export type FlagTable = Readonly<
  Record<string, { readonly kind: FlagKind; readonly short?: string; readonly help: string }>
>;

export interface Flags {
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  has(name: string): boolean;
  /** Whether it was said at all, be it `--x=false`. */
  given(name: string): boolean;
  /** What follows the flags. */
  readonly rest: readonly string[];
}

export function usageError(message: string): GantryError {
  return new GantryError("invalid-argument", message, { detail: { usage: true } });
}

function truth(name: string, value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw usageError(`invalid boolean value "${value}" for -${name}`);
}

export function parseFlags(argv: readonly string[], table: FlagTable): Flags {
  const names = new Map<string, string>();
  for (const [name, { short }] of Object.entries(table)) {
    names.set(name, name);
    if (short) names.set(short, name);
  }
  const values = new Map<string, string[]>();
  const switches = new Map<string, boolean>();
  let index = 0;
  for (; index < argv.length; index++) {
    const argument = argv[index]!;
    if (argument === "--") {
      index++;
      break;
    }
    if (!argument.startsWith("-") || argument === "-") break;
    const equals = argument.indexOf("=");
    const written = argument.slice(0, equals < 0 ? undefined : equals).replace(/^--?/, "");
    const name = names.get(written);
    if (name === undefined) throw usageError(`flag provided but not defined: -${written}`);
    const given = equals < 0 ? undefined : argument.slice(equals + 1);
    if (table[name]!.kind === "switch") {
      switches.set(name, given === undefined ? true : truth(name, given));
      continue;
    }
    const value = given ?? argv[++index];
    if (value === undefined) throw usageError(`flag needs an argument: -${written}`);
    values.set(name, table[name]!.kind === "texts" ? [...(values.get(name) ?? []), value] : [value]);
  }
  return {
    text: (name) => values.get(name)?.[0],
    texts: (name) => values.get(name) ?? [],
    has: (name) => switches.get(name) ?? false,
    given: (name) => switches.has(name) || values.has(name),
    rest: argv.slice(index),
  };
}

/** A decimal number of a flag. */
export function numberFlag(flags: Flags, name: string): number {
  const text = flags.text(name) ?? "0";
  if (!/^\d{1,9}$/.test(text)) throw usageError(`invalid value "${text}" for flag -${name}`);
  return Number(text);
}
