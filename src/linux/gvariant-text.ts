/**
 * Values written as GVariant text ("uint64 5", "'text'", "['a', 'b']", "@as []"), the form in which annotations
 * carry properties of a unit. Simple types, arrays and tuples of them; dictionaries and variants are refused.
 */
import { GantryError } from "../base/error.ts";
import type { PropertyValue } from "./systemd-properties.ts";

export interface TypedValue {
  readonly signature: string;
  readonly value: PropertyValue;
}

const longestText = 4096;
const deepest = 8;

function refuse(reason: string): never {
  throw new GantryError("invalid-argument", reason);
}

const keywords: Readonly<Record<string, string>> = {
  ...{ boolean: "b", byte: "y", int16: "n", uint16: "q", int32: "i", uint32: "u" },
  ...{ int64: "x", uint64: "t", double: "d", string: "s", objectpath: "o", signature: "g" },
};

const integers: Readonly<Record<string, readonly [low: bigint, high: bigint]>> = {
  y: [0n, 255n],
  n: [-32768n, 32767n],
  q: [0n, 65535n],
  i: [-2147483648n, 2147483647n],
  u: [0n, 4294967295n],
  x: [-(1n << 63n), (1n << 63n) - 1n],
  t: [0n, (1n << 64n) - 1n],
};

const escapes: Readonly<Record<string, string>> = {
  ...{ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" },
};

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): TypedValue {
    const value = this.#value(undefined, 0);
    this.#space();
    if (this.#at < this.#text.length) refuse(`${JSON.stringify(this.#text.slice(this.#at))} is left over`);
    return value;
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  /** The text that matches `pattern` (sticky) here, or undefined. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** `wanted`: the type that something around it has given. */
  #value(wanted: string | undefined, depth: number): TypedValue {
    if (depth > deepest) refuse("it is nested too deeply");
    this.#space();
    if (this.#take(/@/y)) {
      const signature = this.#take(/[a-z()]+/y) ?? refuse("a type is missing after @");
      if (!/^(a{0,4}[ybnqiuxtdsog]|a{0,4}\([ybnqiuxtdsog]+\))$/.test(signature))
        refuse(`the type ${JSON.stringify(signature)} is not supported`);
      return this.#value(signature, depth + 1);
    }
    if (this.#take(/\[/y)) return this.#array(wanted, depth);
    if (this.#take(/\(/y)) return this.#tuple(wanted, depth);
    const quote = this.#text[this.#at];
    if (quote === "'" || quote === '"') return this.#string(wanted);
    const word = this.#take(/[A-Za-z0-9_.+-]+/y) ?? refuse("a value is missing");
    if (word === "true" || word === "false") return this.#typed(wanted, ["b"], word === "true");
    const keyword = Object.hasOwn(keywords, word) ? keywords[word] : undefined;
    if (keyword !== undefined) {
      if (wanted !== undefined && wanted !== keyword) refuse(`${word} stands where ${wanted} should`);
      return this.#value(keyword, depth + 1);
    }
    return this.#number(wanted, word);
  }

  #typed(wanted: string | undefined, natural: readonly string[], value: PropertyValue): TypedValue {
    const signature = wanted ?? natural[0]!;
    if (!natural.includes(signature)) refuse(`${JSON.stringify(value)} is not of type ${signature}`);
    return { signature, value };
  }

  #number(wanted: string | undefined, word: string): TypedValue {
    const signature = wanted ?? (/^[+-]?(\d+|0x[0-9a-f]+)$/i.test(word) ? "i" : "d");
    if (signature === "d") {
      const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word) ? Number(word) : Number.NaN;
      return Number.isFinite(value) ? { signature, value } : refuse(`${JSON.stringify(word)} is no number`);
    }
    const range = integers[signature];
    const parts = /^([+-]?)(\d{1,20}|0x[0-9a-f]{1,16})$/i.exec(word);
    if (!range || !parts) return refuse(`${JSON.stringify(word)} is not of type ${signature}`);
    const number = BigInt(parts[2]!) * (parts[1] === "-" ? -1n : 1n);
    if (number < range[0] || number > range[1]) refuse(`${word} is out of range for type ${signature}`);
    return { signature, value: signature === "x" || signature === "t" ? number : Number(number) };
  }

  #string(wanted: string | undefined): TypedValue {
    const quote = this.#text[this.#at++]!;
    let value = "";
    for (;;) {
      const letter = this.#text[this.#at++] ?? refuse("a string does not end");
      if (letter === quote) break;
      if (letter !== "\\") {
        value += letter;
        continue;
      }
      const letterAfter = this.#text[this.#at++] ?? refuse("a string does not end");
      if (letterAfter === "u" || letterAfter === "U") {
        const digits = this.#take(letterAfter === "u" ? /[0-9a-f]{4}/iy : /[0-9a-f]{8}/iy);
        const code = Number.parseInt(digits ?? "x", 16);
        if (!(code > 0 && code <= 0x10ffff) || (code >= 0xd800 && code < 0xe000)) refuse("an escape is none");
        value += String.fromCodePoint(code);
      } else value += escapes[letterAfter] ?? letterAfter;
    }
    if (value.includes("\0")) refuse("a string holds a NUL character");
    return this.#typed(wanted, ["s", "o", "g"], value);
  }

  #array(wanted: string | undefined, depth: number): TypedValue {
    if (wanted !== undefined && !wanted.startsWith("a")) refuse(`an array stands where ${wanted} should`);
    let element = wanted?.slice(1);
    const values: PropertyValue[] = [];
    for (this.#space(); !this.#take(/\]/y); this.#space()) {
      if (values.length > 0 && !this.#take(/,/y)) refuse("a comma is missing");
      const one = this.#value(element, depth + 1);
      element ??= one.signature;
      values.push(one.value);
    }
    if (element === undefined) return refuse("an empty array needs its type, as in @as []");
    return { signature: `a${element}`, value: values };
  }

  #tuple(wanted: string | undefined, depth: number): TypedValue {
    if (wanted !== undefined && !wanted.startsWith("(")) refuse(`a tuple stands where ${wanted} should`);
    const members = wanted?.slice(1, -1);
    const values: TypedValue[] = [];
    for (this.#space(); !this.#take(/\)/y); this.#space()) {
      if (values.length > 0 && !this.#take(/,/y)) refuse("a comma is missing");
      this.#space();
      if (values.length > 0 && this.#text[this.#at] === ")") continue; // one member: ('a',)
      values.push(this.#value(members?.[values.length], depth + 1));
    }
    const signature = `(${values.map((one) => one.signature).join("")})`;
    if (values.length === 0 || (wanted !== undefined && wanted !== signature))
      refuse(`a tuple is not of type ${wanted ?? "(…)"}`);
    return { signature, value: values.map((one) => one.value) };
  }
}

/** Reads one value; throws invalid-argument with the reason. */
export function parseGVariant(text: string): TypedValue {
  if (text.length > longestText) refuse(`it is longer than ${longestText} characters`);
  return new Parser(text).whole();
}
