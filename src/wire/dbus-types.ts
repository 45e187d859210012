/**
 * Types and values of D-Bus (D-Bus Specification, "Type System"): a signature is parsed once into a tree that
 * encoder and decoder walk.
 */
import { GantryError } from "../base/error.ts";

/** A value of whatever type its signature says: x and t are bigints, arrays, structs and dict entries are arrays. */
export type DBusValue = number | bigint | boolean | string | readonly DBusValue[] | DBusVariant;

/** A value that brings its type along. */
export interface DBusVariant {
  readonly signature: string;
  readonly value: DBusValue;
}

export type DBusType =
  | { readonly kind: "basic"; readonly code: BasicCode }
  | { readonly kind: "variant" }
  | { readonly kind: "array"; readonly element: DBusType }
  | { readonly kind: "struct"; readonly members: readonly DBusType[] }
  | { readonly kind: "entry"; readonly members: readonly [DBusType, DBusType] };

/** h, a descriptor, is its index beside the message. */
const basicCodes = ["y", "b", "n", "q", "i", "u", "x", "t", "d", "s", "o", "g", "h"] as const;

export type BasicCode = (typeof basicCodes)[number];

const longestSignature = 255;
/** Arrays in arrays, or structs in structs. */
const deepestNesting = 32;
/** Everything together, variants included. */
export const deepestValue = 64;

export function malformed(reason: string): never {
  throw new GantryError("data-loss", `read D-Bus message: ${reason}`);
}

const basics = new Map<string, DBusType>(basicCodes.map((code) => [code, { kind: "basic", code }]));

class SignatureParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  single(arrays: number, structs: number): DBusType {
    const letter = this.#text[this.#at++];
    if (letter === undefined) return malformed(`signature "${this.#text}" ends within a type`);
    const basic = basics.get(letter);
    if (basic) return basic;
    if (letter === "v") return { kind: "variant" };
    if (letter === "a") {
      if (arrays >= deepestNesting) return malformed("a signature nests too many arrays");
      if (this.#text[this.#at] === "{") {
        this.#at++;
        return { kind: "array", element: this.#entry(arrays + 1, structs) };
      }
      return { kind: "array", element: this.single(arrays + 1, structs) };
    }
    if (letter === "(") return this.#struct(arrays, structs);
    return malformed(`signature "${this.#text}" holds "${letter}"`);
  }

  #struct(arrays: number, structs: number): DBusType {
    if (structs >= deepestNesting) return malformed("a signature nests too many structs");
    const members: DBusType[] = [];
    while (this.#text[this.#at] !== ")") members.push(this.single(arrays, structs + 1));
    this.#at++;
    return members.length > 0 ? { kind: "struct", members } : malformed("a struct has no members");
  }

  #entry(arrays: number, structs: number): DBusType {
    if (structs >= deepestNesting) return malformed("a signature nests too many structs");
    const key = this.single(arrays, structs + 1);
    if (key.kind !== "basic") return malformed("the key of a dict entry is no basic type");
    const value = this.single(arrays, structs + 1);
    if (this.#text[this.#at++] !== "}") return malformed("a dict entry has not two members");
    return { kind: "entry", members: [key, value] };
  }
}

/** The types of a signature, in order: none for "". Throws data-loss for what is no signature. */
export function parseSignature(text: string): readonly DBusType[] {
  if (text.length > longestSignature) malformed("a signature is longer than 255 bytes");
  const parser = new SignatureParser(text);
  const types: DBusType[] = [];
  while (!parser.atEnd) types.push(parser.single(0, 0));
  return types;
}

/** The one type of the signature of a variant. */
export function parseSingleType(text: string): DBusType {
  const types = parseSignature(text);
  return types.length === 1 ? types[0]! : malformed(`"${text}" is not the signature of one value`);
}

const alignments: Readonly<Record<BasicCode, number>> = {
  ...{ y: 1, b: 4, n: 2, q: 2, i: 4, u: 4, x: 8, t: 8, d: 8, s: 4, o: 4, g: 1, h: 4 },
};

/** The boundary that a value of the type begins at. */
export function alignmentOf(type: DBusType): number {
  switch (type.kind) {
    case "basic":
      return alignments[type.code];
    case "variant":
      return 1;
    case "array":
      return 4;
    default:
      return 8;
  }
}

export function isObjectPath(text: string): boolean {
  return text === "/" || /^(\/[A-Za-z0-9_]+)+$/.test(text);
}
