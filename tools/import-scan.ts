/**
 * Finds what a TypeScript source file imports, without a compiler: comments, strings, templates and regular
 * expressions are told apart, so that an import in a comment or in a generated text does not count.
 */

export interface Import {
  readonly specifier: string;
  /** `import type`, `export type` or a type query; it leaves nothing behind at run time. */
  readonly typeOnly: boolean;
  readonly line: number;
}

interface Token {
  readonly kind: "word" | "string" | "mark";
  readonly text: string;
  readonly line: number;
}

/** All static, re-exporting, dynamic and type-query imports of a file, in order, and modules of Node that it asks for by name. */
export function scanImports(source: string): Import[] {
  const tokens = tokenize(source);
  const found: Import[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!;
    if (token.kind !== "word") continue;
    // loaded at that moment, where an import would be loaded with the file
    if (
      token.text === "getBuiltinModule" &&
      tokens[at + 1]?.text === "(" &&
      tokens[at + 2]?.kind === "string"
    )
      found.push({ specifier: tokens[at + 2]!.text, typeOnly: false, line: token.line });
    if (token.text !== "import" && token.text !== "export") continue;
    if (tokens[at - 1]?.text === ".") continue;
    const hit = token.text === "import" ? importAt(tokens, at) : fromAt(tokens, at);
    if (hit) found.push({ ...hit, line: token.line });
  }
  return found;
}

function importAt(tokens: readonly Token[], at: number): Omit<Import, "line"> | undefined {
  const next = tokens[at + 1];
  if (next?.kind === "string") return { specifier: next.text, typeOnly: false };
  if (next?.text === "(") {
    const argument = tokens[at + 2];
    if (argument?.kind !== "string") return undefined;
    // `import("./x.ts").Name` in a type position: a colon, `typeof`, `<` or `|` stands before it.
    const before = tokens[at - 1]?.text ?? "";
    return { specifier: argument.text, typeOnly: [":", "typeof", "<", "|", "&", "as"].includes(before) };
  }
  return fromAt(tokens, at);
}

/** `import type { … } from "x"` and `export * from "x"`: the string after `from`, before the statement ends. */
function fromAt(tokens: readonly Token[], at: number): Omit<Import, "line"> | undefined {
  const typeOnly = tokens[at + 1]?.text === "type" && tokens[at + 2]?.text !== "from";
  let depth = 0;
  for (let i = at + 1; i < tokens.length; i++) {
    const { kind, text } = tokens[i]!;
    if (text === "{") depth++;
    else if (text === "}") depth--;
    else if (kind === "word" && text === "from" && tokens[i + 1]?.kind === "string" && depth === 0) {
      return { specifier: tokens[i + 1]!.text, typeOnly };
    } else if (kind !== "word" && text !== "," && text !== "*" && depth === 0) return undefined;
    else if (depth > 0 && kind === "mark" && text !== ",") return undefined;
    else if (depth === 0 && kind === "word" && statementWords.has(text)) return undefined;
  }
  return undefined;
}

const statementWords = new Set(
  "const let var function class interface enum abstract async default declare namespace import export".split(
    " ",
  ),
);

/** After these, a slash begins a regular expression; after anything else it divides. */
const beforeRegex =
  /^$|^[-(,=:[!&|?{};+*%<>~^]$|^(return|typeof|case|in|of|throw|await|yield|new|delete|void)$/;

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  /** For each open template literal, how many braces are open inside its current `${…}`. */
  const templates: number[] = [];
  let line = 1;
  let at = 0;
  const push = (kind: Token["kind"], text: string) => tokens.push({ kind, text, line });
  const skipTo = (end: number) => {
    for (; at < end; at++) if (source[at] === "\n") line++;
  };
  const template = () => {
    for (; at < source.length; at++) {
      if (source[at] === "\\") at++;
      else if (source[at] === "\n") line++;
      else if (source[at] === "`") {
        at++;
        return;
      } else if (source.startsWith("${", at)) {
        templates.push(0);
        at += 2;
        return;
      }
    }
  };
  while (at < source.length) {
    const char = source[at]!;
    if (/\s/.test(char)) skipTo(at + 1);
    else if (source.startsWith("//", at)) skipTo(endOf(source, "\n", at));
    else if (source.startsWith("/*", at)) skipTo(endOf(source, "*/", at + 2) + 2);
    else if (char === '"' || char === "'") {
      const end = endOfQuoted(source, at, char);
      push("string", source.slice(at + 1, end));
      skipTo(end + 1);
    } else if (char === "`") {
      at++;
      push("mark", "`");
      template();
    } else if (char === "/" && beforeRegex.test(tokens.at(-1)?.text ?? "")) {
      skipTo(endOfRegex(source, at));
      push("mark", "/");
    } else if (/[\p{L}\p{N}_$#@]/u.test(char)) {
      const word = /^[\p{L}\p{N}_$#@]+/u.exec(source.slice(at, at + 200))![0];
      push("word", word);
      at += word.length;
    } else {
      const open = templates.at(-1);
      if (char === "}" && open === 0) {
        templates.pop();
        at++;
        template();
        continue;
      }
      if (open !== undefined && char === "{") templates[templates.length - 1] = open + 1;
      if (open !== undefined && char === "}") templates[templates.length - 1] = open - 1;
      push("mark", char);
      at++;
    }
  }
  return tokens;
}

function endOf(source: string, mark: string, from: number): number {
  const end = source.indexOf(mark, from);
  return end < 0 ? source.length : end;
}

function endOfQuoted(source: string, start: number, quote: string): number {
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === "\\") at++;
    else if (source[at] === quote || source[at] === "\n") return at;
  }
  return source.length;
}

function endOfRegex(source: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < source.length; at++) {
    const char = source[at];
    if (char === "\\") at++;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "\n" || (char === "/" && !inClass)) return at + 1;
  }
  return source.length;
}
