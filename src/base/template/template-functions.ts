/** The functions of `--format` templates: docker's own and those that Go brings. */
import { TemplateError, TemplateExecutionError } from "./template-parse.ts";

function fail(name: string, reason: string): never {
  throw new TemplateExecutionError(
    `template parsing error: template: :1: executing "" at <${name}>: error calling ${name}: ${reason}`,
  );
}

/** Go's truth: the empty value of any kind is false. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === null)
    return Object.keys(value).length > 0;
  return Boolean(value);
}

/** What Go prints for a value with %v. */
export function goText(value: unknown, nested = false): string {
  // of what is shown, only lists may be null: a Go slice that is nil
  if (value === null) return "[]";
  if (value === undefined) return nested ? "<nil>" : "<no value>";
  if (Array.isArray(value)) return `[${value.map((item) => goText(item, true)).join(" ")}]`;
  if (typeof value !== "object") return String(value);
  if (Object.getPrototypeOf(value) === null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${key}:${goText(item, true)}`).join(" ")}]`;
  }
  return `{${Object.values(value)
    .map((item) => goText(item, true))
    .join(" ")}}`;
}

/** JSON as Go's encoder writes it: no spaces. */
export function goJson(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

function text(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  return fail(name, `wrong type for value; expected string; got ${goText(value)}`);
}

function number(name: string, value: unknown): number {
  if (typeof value === "number") return value;
  return fail(name, `wrong type for value; expected int; got ${goText(value)}`);
}

function compare(name: string, a: unknown, b: unknown): number {
  if (typeof a !== typeof b || (typeof a !== "number" && typeof a !== "string"))
    fail(name, "incompatible types for comparison");
  return a === b ? 0 : (a as string) < (b as string) ? -1 : 1;
}

function index(container: unknown, ...keys: readonly unknown[]): unknown {
  let value = container;
  for (const key of keys) {
    if (value === null || value === undefined) fail("index", "index of untyped nil");
    if (Array.isArray(value) || typeof value === "string") {
      const at = number("index", key);
      if (at < 0 || at >= value.length) fail("index", `index out of range: ${at}`);
      value = typeof value === "string" ? value.charCodeAt(at) : value[at];
    } else if (typeof value === "object") {
      const name = text("index", key);
      // the zero value of a map of strings is what nearly every caller wants to see
      value = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : "";
    } else fail("index", `can't index item of type ${typeof value}`);
  }
  return value;
}

function length(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (value !== null && typeof value === "object") return Object.keys(value).length;
  return fail("len", `len of type ${typeof value}`);
}

function slice(value: unknown, from: unknown = 0, to?: unknown): unknown {
  if (typeof value !== "string" && !Array.isArray(value))
    fail("slice", `can't slice item of type ${typeof value}`);
  const start = number("slice", from);
  const end = to === undefined ? value.length : number("slice", to);
  if (start < 0 || end > value.length || start > end) fail("slice", `index out of range: ${end}`);
  return value.slice(start, end);
}

/** Go's Print: spaces between operands when neither is a string. */
function print(...values: readonly unknown[]): string {
  return values
    .map((value, at) => {
      const gap = at > 0 && typeof value !== "string" && typeof values[at - 1] !== "string";
      return (gap ? " " : "") + goText(value, true);
    })
    .join("");
}

/** Go's Printf for the verbs that templates use. */
export function printf(format: unknown, ...values: readonly unknown[]): string {
  let next = 0;
  return text("printf", format).replace(
    /%([-+ 0#]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flags: string, width, precision, verb) => {
      if (verb === "%") return "%";
      if (next >= values.length) return `%!${verb}(MISSING)`;
      let shown = formatVerb(
        verb,
        values[next++],
        precision === undefined ? undefined : Number(precision),
        flags,
      );
      if (shown === undefined) shown = `%!${verb}(${goText(values[next - 1], true)})`;
      const size = Number(width ?? 0);
      if (flags.includes("-")) return shown.padEnd(size);
      return flags.includes("0") && /^[+-]?\d/.test(shown) ? shown.padStart(size, "0") : shown.padStart(size);
    },
  );
}

function formatVerb(
  verb: string,
  value: unknown,
  precision: number | undefined,
  flags: string,
): string | undefined {
  switch (verb) {
    case "v":
      return goText(value, true);
    case "s": {
      const shown = goText(value, true);
      return precision === undefined ? shown : shown.slice(0, precision);
    }
    case "q":
      return JSON.stringify(goText(value, true));
    case "t":
      return typeof value === "boolean" ? String(value) : undefined;
    case "d":
      if (typeof value !== "number") return undefined;
      return `${flags.includes("+") && value >= 0 ? "+" : ""}${Math.trunc(value)}`;
    case "f":
      return typeof value === "number" ? value.toFixed(precision ?? 6) : undefined;
    case "x":
      if (typeof value === "number") return value.toString(16);
      return typeof value === "string" ? Buffer.from(value).toString("hex") : undefined;
    case "o":
      return typeof value === "number" ? value.toString(8) : undefined;
    case "c":
      return typeof value === "number" ? String.fromCodePoint(value) : undefined;
    default:
      return undefined;
  }
}

const htmlEscapes: Readonly<Record<string, string>> = {
  ...{ "&": "&amp;", "<": "&lt;", ">": "&gt;" },
  ...{ '"': "&#34;", "'": "&#39;" },
};

type TemplateFunction = (...args: readonly unknown[]) => unknown;

const functions: Readonly<Record<string, TemplateFunction>> = {
  // docker's
  json: goJson,
  split: (value, separator) => text("split", value).split(text("split", separator)),
  join(values, separator) {
    if (!Array.isArray(values))
      return fail("join", `wrong type for value; expected []string; got ${goText(values)}`);
    return values.map((value) => goText(value, true)).join(text("join", separator));
  },
  title: (value) =>
    text("title", value).replace(/(^|[\s])(\p{L})/gu, (_, gap, letter) => gap + letter.toUpperCase()),
  lower: (value) => text("lower", value).toLowerCase(),
  upper: (value) => text("upper", value).toUpperCase(),
  pad: (value, left, right) =>
    text("pad", value) === ""
      ? value
      : " ".repeat(number("pad", left)) + text("pad", value) + " ".repeat(number("pad", right)),
  truncate: (value, size) => text("truncate", value).slice(0, number("truncate", size)),
  // Go's
  index,
  len: length,
  slice,
  not: (value) => !isTrue(value),
  eq: (first, ...others) => others.some((other) => other === first),
  ne: (a, b) => a !== b,
  lt: (a, b) => compare("lt", a, b) < 0,
  le: (a, b) => compare("le", a, b) <= 0,
  gt: (a, b) => compare("gt", a, b) > 0,
  ge: (a, b) => compare("ge", a, b) >= 0,
  print,
  println: (...values) => `${values.map((value) => goText(value, true)).join(" ")}\n`,
  printf,
  html: (...values) => print(...values).replace(/[&<>"']/g, (character) => htmlEscapes[character]!),
  urlquery: (...values) => encodeURIComponent(print(...values)).replaceAll("%20", "+"),
};

export function callFunction(name: string, args: readonly unknown[]): unknown {
  if (!Object.hasOwn(functions, name))
    throw new TemplateError(
      `template parsing error: template: :1: function ${JSON.stringify(name)} not defined`,
    );
  return functions[name]!(...args);
}
