/**
 * Parser of the subset of Go's text/template that `--format` takes: fields, variables, pipelines, function calls,
 * if/else, range, with, trim markers and comments. No define, template or block.
 */

export type Expression =
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  | { readonly kind: "dot" }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "field"; readonly of: Expression; readonly name: string; readonly text: string }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  /** `.Label "key"`: a method of the value. */
  | {
      readonly kind: "method";
      readonly field: Expression & { kind: "field" };
      readonly args: readonly Expression[];
    };

export interface Assignment {
  readonly names: readonly string[];
  readonly declare: boolean;
}

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly expression: Expression; readonly assign?: Assignment }
  | {
      readonly kind: "if" | "with";
      readonly expression: Expression;
      readonly body: Body;
      readonly otherwise: Body;
    }
  | {
      readonly kind: "range";
      readonly expression: Expression;
      readonly assign?: Assignment;
      readonly body: Body;
      readonly otherwise: Body;
    }
  | { readonly kind: "break" | "continue" };

export type Body = readonly Node[];

/** A template that cannot be used: its text is wrong. */
export class TemplateError extends Error {
  override readonly name: string = "TemplateError";
}

/** A template whose text is right, but that does not fit the value. */
export class TemplateExecutionError extends TemplateError {
  override readonly name = "TemplateExecutionError";
}

function fail(message: string): never {
  throw new TemplateError(`template parsing error: template: :1: ${message}`);
}

type Token =
  | {
      readonly kind: "string" | "word" | "field" | "variable" | "punctuation";
      readonly text: string;
      readonly space: boolean;
    }
  | { readonly kind: "number"; readonly text: string; readonly value: number; readonly space: boolean };

const tokenForms: readonly (readonly [Token["kind"], RegExp])[] = [
  ["string", /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)'/y],
  ["number", /[+-]?(?:0[xX][0-9a-fA-F_]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y],
  ["field", /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ["variable", /\$[\p{L}\p{N}_]*/uy],
  ["word", /[\p{L}_][\p{L}\p{N}_]*/uy],
  ["punctuation", /:=|[=|(),.]/y],
];

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    const space = /\s*/y;
    space.lastIndex = at;
    const skipped = space.exec(source)![0].length;
    at += skipped;
    if (at >= source.length) return tokens;
    const found = tokenForms.flatMap(([kind, form]) => {
      form.lastIndex = at;
      const match = form.exec(source);
      return match ? [{ kind, raw: match[0] }] : [];
    })[0];
    if (!found) {
      if (/["`']/.test(source[at]!)) fail("unterminated quoted string");
      fail(`unexpected ${JSON.stringify(source[at])} in operand`);
    }
    at += found.raw.length;
    const shared = { space: skipped > 0 };
    if (found.kind === "number")
      tokens.push({
        ...shared,
        kind: "number",
        text: found.raw,
        value: Number(found.raw.replaceAll("_", "")),
      });
    else if (found.kind === "string") tokens.push({ ...shared, kind: "string", text: unquote(found.raw) });
    else tokens.push({ ...shared, kind: found.kind, text: found.raw });
  }
}

const escapes: Readonly<Record<string, string>> = {
  ...{ n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" },
  ...{ "\\": "\\", '"': '"', "'": "'" },
};

/** The text of a quoted Go string. */
function unquote(raw: string): string {
  const inner = raw.slice(1, -1);
  if (raw.startsWith("`")) return inner;
  return inner.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)/g, (whole, code: string) => {
    if (escapes[code] !== undefined) return escapes[code];
    if (code.length > 1)
      return String.fromCharCode(Number.parseInt(code.replace(/^[xu]/, ""), /^\d/.test(code) ? 8 : 16));
    return fail(`unknown escape ${whole} in quoted string`);
  });
}

interface Action {
  readonly text?: string;
  readonly tokens?: Token[];
}

/** Splits the source into text and actions, and applies `{{-` and `-}}`. */
function split(source: string): Action[] {
  const actions: Action[] = [];
  let at = 0;
  let trimNext = false;
  for (;;) {
    const open = source.indexOf("{{", at);
    let text = source.slice(at, open < 0 ? undefined : open);
    if (trimNext) text = text.trimStart();
    if (open < 0) return text === "" ? actions : [...actions, { text }];
    const trimBefore = /^-\s/.test(source.slice(open + 2, open + 4));
    if (trimBefore) text = text.trimEnd();
    if (text !== "") actions.push({ text });
    const start = open + (trimBefore ? 3 : 2);
    const close = endOfAction(source, start);
    const inner = source.slice(start, close);
    trimNext = /\s-$/.test(inner);
    const body = (trimNext ? inner.slice(0, -1) : inner).trim();
    if (!/^\/\*[\s\S]*\*\/$/.test(body)) actions.push({ tokens: tokenize(body) });
    at = close + 2;
  }
}

/** Where the `}}` of an action stands: not inside a string or comment. */
function endOfAction(source: string, start: number): number {
  const piece = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|\/\*[\s\S]*?\*\/|\}\}/g;
  piece.lastIndex = start;
  for (let match = piece.exec(source); match; match = piece.exec(source))
    if (match[0] === "}}") return match.index;
  return fail("unclosed action");
}

const keywords = new Set([
  "if",
  "else",
  "end",
  "range",
  "with",
  "break",
  "continue",
  "define",
  "template",
  "block",
]);

/** Parses a template; throws TemplateError with the words that docker prints. */
export function parseTemplate(source: string): Body {
  const actions = split(source);
  let index = 0;

  function body(inside: string | undefined): { nodes: Body; end: Token[] | undefined } {
    const nodes: Node[] = [];
    while (index < actions.length) {
      const action = actions[index++]!;
      if (action.text !== undefined) {
        nodes.push({ kind: "text", text: action.text });
        continue;
      }
      const tokens = action.tokens!;
      const first = tokens[0];
      if (!first) fail("missing value for command");
      if (first.kind === "word" && (first.text === "end" || first.text === "else")) {
        if (!inside) fail(`unexpected {{${first.text}}}`);
        return { nodes, end: tokens };
      }
      nodes.push(
        first.kind === "word" && keywords.has(first.text)
          ? control(first.text, tokens.slice(1))
          : print(tokens),
      );
    }
    if (inside) fail("unexpected EOF");
    return { nodes, end: undefined };
  }

  function control(word: string, tokens: Token[]): Node {
    if (word === "break" || word === "continue") return { kind: word };
    if (word !== "if" && word !== "with" && word !== "range") fail(`{{${word}}} is not available here`);
    const { assign, rest } = assignment(tokens);
    const expression = pipeline(rest, word);
    const then = body(word);
    let otherwise: Body = [];
    if (then.end![0]!.text === "else") {
      const more = then.end!.slice(1);
      const chained = more[0];
      if (chained?.kind === "word" && (chained.text === "if" || chained.text === "with"))
        otherwise = [control(chained.text, more.slice(1))];
      else if (chained) fail("unexpected token in {{else}}");
      else {
        const last = body(word);
        if (last.end![0]!.text !== "end") fail("unexpected {{else}}");
        otherwise = last.nodes;
      }
    }
    const common = { expression, body: then.nodes, otherwise };
    if (word === "range") return { kind: "range", ...common, ...(assign ? { assign } : {}) };
    if (!assign) return { kind: word, ...common };
    return fail(`variables are not available in {{${word}}}`);
  }

  const { nodes } = body(undefined);
  return nodes;
}

function print(tokens: Token[]): Node {
  const { assign, rest } = assignment(tokens);
  return { kind: "print", expression: pipeline(rest, "command"), ...(assign ? { assign } : {}) };
}

/** `$a :=`, `$i, $v :=` or `$a =` in front of a pipeline. */
function assignment(tokens: Token[]): { assign?: Assignment; rest: Token[] } {
  const [first, second, third, fourth] = tokens;
  if (first?.kind !== "variable") return { rest: tokens };
  const isAssign = (token: Token | undefined) =>
    token?.kind === "punctuation" && (token.text === ":=" || token.text === "=");
  if (isAssign(second))
    return { assign: { names: [first.text], declare: second!.text === ":=" }, rest: tokens.slice(2) };
  if (second?.text === "," && third?.kind === "variable" && isAssign(fourth))
    return {
      assign: { names: [first.text, third.text], declare: fourth!.text === ":=" },
      rest: tokens.slice(4),
    };
  return { rest: tokens };
}

function pipeline(tokens: Token[], context: string): Expression {
  const parser = new PipelineParser(tokens, context);
  return parser.all();
}

class PipelineParser {
  readonly #tokens: Token[];
  readonly #context: string;
  #at = 0;

  constructor(tokens: Token[], context: string) {
    this.#tokens = tokens;
    this.#context = context;
  }

  all(): Expression {
    const expression = this.#pipeline();
    if (this.#at < this.#tokens.length)
      fail(`unexpected ${JSON.stringify(this.#tokens[this.#at]!.text)} in ${this.#context}`);
    return expression;
  }

  #pipeline(): Expression {
    let value = this.#command(undefined);
    while (this.#peek("|")) {
      this.#at++;
      value = this.#command(value);
    }
    return value;
  }

  #peek(text: string): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === "punctuation" && token.text === text;
  }

  /** One command of a pipeline: an operand, or a function with arguments; `piped` becomes the last argument. */
  #command(piped: Expression | undefined): Expression {
    const first = this.#tokens[this.#at];
    if (first?.kind === "word" && !["true", "false", "nil"].includes(first.text)) {
      this.#at++;
      return { kind: "call", name: first.text, args: [...this.#operands(), ...(piped ? [piped] : [])] };
    }
    const operand = this.#operand();
    const args = [...this.#operands(), ...(piped ? [piped] : [])];
    if (args.length === 0) return operand;
    if (operand.kind !== "field") return fail(`can't give argument to non-function ${first?.text ?? ""}`);
    return { kind: "method", field: operand, args };
  }

  #operands(): Expression[] {
    const operands: Expression[] = [];
    while (this.#at < this.#tokens.length && !this.#peek("|") && !this.#peek(")"))
      operands.push(this.#operand());
    return operands;
  }

  #operand(): Expression {
    const token = this.#tokens[this.#at++];
    if (!token) return fail(`missing value for ${this.#context}`);
    let value: Expression;
    if (token.kind === "string") value = { kind: "literal", value: token.text };
    else if (token.kind === "number") value = { kind: "literal", value: token.value };
    else if (token.kind === "variable") value = { kind: "variable", name: token.text };
    else if (token.kind === "field")
      value = { kind: "field", of: { kind: "dot" }, name: token.text.slice(1), text: token.text };
    else if (token.kind === "word") {
      if (token.text === "nil") value = { kind: "literal", value: null };
      else if (token.text === "true" || token.text === "false")
        value = { kind: "literal", value: token.text === "true" };
      else value = { kind: "call", name: token.text, args: [] };
    } else if (token.text === ".") value = { kind: "dot" };
    else if (token.text === "(") {
      value = this.#pipeline();
      if (!this.#peek(")")) return fail("unclosed left paren");
      this.#at++;
    } else return fail(`unexpected ${JSON.stringify(token.text)} in ${this.#context}`);
    return this.#fields(value);
  }

  /** `.Name` directly behind an operand reads a field of it. */
  #fields(value: Expression): Expression {
    for (
      let next = this.#tokens[this.#at];
      next?.kind === "field" && !next.space;
      next = this.#tokens[++this.#at]
    ) {
      const text = value.kind === "field" ? value.text + next.text : next.text;
      value = { kind: "field", of: value, name: next.text.slice(1), text };
    }
    return value;
  }
}
