/**
 * The part of YAML that tools write: block mappings and sequences, plain and quoted scalars, flow collections within a
 * line, comments (yaml.org/spec/1.2.2, core schema). Anchors, tags, block scalars and texts over several lines, which
 * a generated file has no need of, are refused. Pure.
 */
import { GantryError } from "../base/error.ts";

const depthLimit = 32;

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

class Parser {
  readonly #what: string;
  readonly #lines: Line[];
  #at = 0;

  constructor(text: string, what: string) {
    this.#what = what;
    this.#lines = text
      .replace(/^\ufeff/, "")
      .split(/\r?\n/)
      .flatMap((raw, index): readonly Line[] => {
        if (/^\s*\t/.test(raw)) this.#refuse(index + 1, "a tab in the indentation");
        const content = withoutComment(raw).trimEnd();
        const indent = content.length - content.trimStart().length;
        return content === "" ? [] : [{ number: index + 1, indent, text: content.slice(indent) }];
      });
  }

  #refuse(line: number, reason: string): never {
    throw new GantryError("invalid-argument", `${this.#what}: line ${line}: ${reason}`, { detail: { line } });
  }

  document(): unknown {
    if (this.#lines[0]?.text === "---") this.#at++;
    if (this.#lines.at(-1)?.text === "...") this.#lines.pop();
    const first = this.#lines[this.#at];
    if (!first) return null;
    const value = this.#block(first.indent, 0);
    const rest = this.#lines[this.#at];
    if (rest) this.#refuse(rest.number, "cannot be understood here");
    return value;
  }

  #block(indent: number, depth: number): unknown {
    const line = this.#lines[this.#at]!;
    if (depth > depthLimit) this.#refuse(line.number, `deeper than ${depthLimit} levels`);
    if (isItem(line.text)) return this.#sequence(indent, depth);
    if (keyOf(line.text)) return this.#mapping(indent, depth);
    this.#at++;
    return this.#scalar(line.text, line.number, depth);
  }

  #sequence(indent: number, depth: number): unknown[] {
    const items: unknown[] = [];
    for (;;) {
      const line = this.#lines[this.#at];
      if (!line || line.indent !== indent || !isItem(line.text)) return items;
      const rest = line.text.slice(1).trimStart();
      if (rest === "") {
        this.#at++;
        items.push(this.#below(indent, depth, false));
      } else {
        // what stands behind the dash is a block of its own, as deep as it stands
        const inner = indent + line.text.length - rest.length;
        this.#lines[this.#at] = { ...line, indent: inner, text: rest };
        items.push(this.#block(inner, depth + 1));
      }
    }
  }

  #mapping(indent: number, depth: number): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    for (;;) {
      const line = this.#lines[this.#at];
      if (!line || line.indent < indent) return Object.fromEntries(entries);
      const found = line.indent === indent ? keyOf(line.text) : undefined;
      if (!found || isItem(line.text)) {
        if (line.indent === indent && isItem(line.text)) return Object.fromEntries(entries);
        this.#refuse(line.number, "expected a key of the same indentation");
      }
      const key = String(this.#scalar(found.key, line.number, depth));
      if (entries.has(key)) this.#refuse(line.number, `the key ${JSON.stringify(key)} stands twice`);
      this.#at++;
      entries.set(
        key,
        found.rest === "" ? this.#below(indent, depth, true) : this.#scalar(found.rest, line.number, depth),
      );
    }
  }

  /** What stands in the lines below; null if nothing does. The dashes of a list may stand under its key. */
  #below(indent: number, depth: number, underKey: boolean): unknown {
    const next = this.#lines[this.#at];
    if (!next) return null;
    if (next.indent > indent) return this.#block(next.indent, depth + 1);
    return underKey && next.indent === indent && isItem(next.text) ? this.#sequence(indent, depth + 1) : null;
  }

  #scalar(text: string, line: number, depth: number): unknown {
    if (/^[[{]/.test(text)) return this.#flow(text, line, depth);
    if (/^["']/.test(text)) {
      const end = quotedLength(text);
      if (end !== text.length) this.#refuse(line, "a quoted text that does not end, or goes on");
      return unquoted(text, () => this.#refuse(line, "an escape that is none"));
    }
    if (/^[&*!|>%@`]/.test(text)) this.#refuse(line, `${JSON.stringify(text[0])} is not supported`);
    return plainValue(text);
  }

  /** `[a, "b"]` and `{a: 1}`, in one line. */
  #flow(text: string, line: number, depth: number): unknown {
    let at = 0;
    const fail = (): never => this.#refuse(line, "a flow collection that does not end, or goes on");
    const space = () => {
      while (text[at] === " ") at++;
    };
    const word = (stops: string): string => {
      const start = at;
      if (text[at] === '"' || text[at] === "'") {
        at += quotedLength(text.slice(at));
        return text.slice(start, at);
      }
      while (at < text.length && !stops.includes(text[at]!)) at++;
      return text.slice(start, at).trim();
    };
    const value = (level: number): unknown => {
      if (level > depthLimit) this.#refuse(line, `deeper than ${depthLimit} levels`);
      space();
      if (text[at] === "[") return items(level);
      if (text[at] === "{") return members(level);
      return this.#scalar(word(",]}"), line, level);
    };
    const items = (level: number): unknown[] => {
      const list: unknown[] = [];
      for (at++; ; at++) {
        space();
        if (text[at] === "]") break;
        list.push(value(level + 1));
        space();
        if (text[at] === "]") break;
        if (text[at] !== ",") fail();
      }
      at++;
      return list;
    };
    const members = (level: number): Record<string, unknown> => {
      const entries: [string, unknown][] = [];
      for (at++; ; at++) {
        space();
        if (text[at] === "}") break;
        const key = String(this.#scalar(word(":,}"), line, level));
        space();
        if (text[at] !== ":") fail();
        at++;
        entries.push([key, value(level + 1)]);
        space();
        if (text[at] === "}") break;
        if (text[at] !== ",") fail();
      }
      at++;
      return Object.fromEntries(entries);
    };
    const result = value(depth);
    if (text.slice(at).trim() !== "") fail();
    return result;
  }
}

function isItem(text: string): boolean {
  return text === "-" || text.startsWith("- ");
}

/** The key of a line of a mapping, and what stands behind its colon. */
function keyOf(text: string): { readonly key: string; readonly rest: string } | undefined {
  if (/^[[{]/.test(text)) return undefined;
  const quoted = /^["']/.test(text) ? quotedLength(text) : 0;
  const colon = quoted > 0 ? quoted : text.search(/:(\s|$)/);
  if (colon < 1 || text[colon] !== ":" || !/^(\s|$)/.test(text.slice(colon + 1))) return undefined;
  return { key: text.slice(0, colon).trimEnd(), rest: text.slice(colon + 1).trimStart() };
}

/** How long the quoted text is that `text` begins with; one more than there is if it does not end. */
function quotedLength(text: string): number {
  const quote = text[0]!;
  for (let at = 1; at < text.length; at++) {
    if (quote === '"' && text[at] === "\\") at++;
    else if (text[at] === quote) {
      if (quote === "'" && text[at + 1] === "'") at++;
      else return at + 1;
    }
  }
  return text.length + 1;
}

function unquoted(text: string, refuse: () => never): string {
  const inner = text.slice(1, -1);
  if (text[0] === "'") return inner.replaceAll("''", "'");
  try {
    return JSON.parse(text) as string;
  } catch {
    return refuse();
  }
}

/** A comment begins with # at the start of a word, outside of quotes. */
function withoutComment(line: string): string {
  for (let at = 0; at < line.length; at++) {
    const before = at === 0 ? " " : line[at - 1]!;
    if (line[at] === "#" && /\s/.test(before)) return line.slice(0, at);
    // a quote within a word is a letter like others
    if (/["']/.test(line[at]!) && /[\s[{,:]/.test(before)) at += quotedLength(line.slice(at)) - 1;
  }
  return line;
}

function plainValue(text: string): unknown {
  if (/^(~|null|Null|NULL)?$/.test(text)) return null;
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  if (/^[-+]?\d+$/.test(text) && !/^[-+]?0\d/.test(text)) return Number(text);
  if (/^0o[0-7]+$|^0x[0-9a-fA-F]+$/.test(text)) return Number(text);
  if (/^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/.test(text) && !/^[-+]?0\d/.test(text)) return Number(text);
  return text;
}

/** The one document of a file. `what` begins the message of a refusal. */
export function parseYaml(text: string, what: string): unknown {
  return new Parser(text, what).document();
}
