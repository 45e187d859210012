/** Bytes of a D-Bus message -> values. The peer is not trusted: what is not as the specification has it is data-loss. */
import {
  alignmentOf,
  type BasicCode,
  type DBusType,
  type DBusValue,
  deepestValue,
  isObjectPath,
  malformed,
  parseSignature,
  parseSingleType,
} from "./dbus-types.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads values one after the other from bytes that begin at a boundary of eight. */
export class DBusReader {
  readonly #view: DataView;
  readonly #little: boolean;
  #at: number;

  constructor(bytes: Uint8Array, littleEndian: boolean, at = 0) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#little = littleEndian;
    this.#at = at;
  }

  get atEnd(): boolean {
    return this.#at === this.#view.byteLength;
  }

  align(boundary: number): void {
    const padding = (boundary - (this.#at % boundary)) % boundary;
    const at = this.#take(padding);
    for (let index = 0; index < padding; index++)
      if (this.#view.getUint8(at + index) !== 0) malformed("padding that is not zero");
  }

  value(type: DBusType, depth = 0): DBusValue {
    if (depth > deepestValue) malformed("a value is nested too deeply");
    switch (type.kind) {
      case "basic":
        return this.#basic(type.code);
      case "variant": {
        const signature = this.#text("g");
        return { signature, value: this.value(parseSingleType(signature), depth + 1) };
      }
      case "array":
        return this.#array(type.element, depth);
      default:
        this.align(8);
        return type.members.map((member) => this.value(member, depth + 1));
    }
  }

  /** Moves on; says where the bytes begin that were passed. */
  #take(count: number): number {
    const at = this.#at;
    if (count > this.#view.byteLength - at) malformed("it is cut short");
    this.#at = at + count;
    return at;
  }

  #array(element: DBusType, depth: number): readonly DBusValue[] {
    const length = this.#basic("u") as number;
    this.align(alignmentOf(element));
    if (length > this.#view.byteLength - this.#at) malformed("an array is longer than its message");
    const end = this.#at + length;
    const values: DBusValue[] = [];
    while (this.#at < end) values.push(this.value(element, depth + 1));
    if (this.#at > end) malformed("an array ends within an element");
    return values;
  }

  #basic(code: BasicCode): DBusValue {
    if (code === "s" || code === "o" || code === "g") return this.#text(code);
    const size = alignmentOf({ kind: "basic", code });
    this.align(size);
    const at = this.#take(size);
    const view = this.#view;
    switch (code) {
      case "y":
        return view.getUint8(at);
      case "b": {
        const number = view.getUint32(at, this.#little);
        return number > 1 ? malformed(`boolean ${number}`) : number === 1;
      }
      case "n":
        return view.getInt16(at, this.#little);
      case "q":
        return view.getUint16(at, this.#little);
      case "i":
        return view.getInt32(at, this.#little);
      case "u":
      case "h":
        return view.getUint32(at, this.#little);
      case "x":
        return view.getBigInt64(at, this.#little);
      case "t":
        return view.getBigUint64(at, this.#little);
      case "d":
        return view.getFloat64(at, this.#little);
      default:
        code satisfies never;
        return malformed("unknown type");
    }
  }

  #text(code: "s" | "o" | "g"): string {
    if (code !== "g") this.align(4);
    const length =
      code === "g" ? this.#view.getUint8(this.#take(1)) : this.#view.getUint32(this.#take(4), this.#little);
    const at = this.#take(length);
    if (this.#view.getUint8(this.#take(1)) !== 0) malformed("a string without its NUL");
    let text: string;
    try {
      text = utf8.decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, length));
    } catch {
      return malformed("a string that is not UTF-8");
    }
    if (text.includes("\0")) malformed("a string with a NUL within");
    if (code === "o" && !isObjectPath(text)) malformed("an object path that is none");
    if (code === "g") parseSignature(text);
    return text;
  }
}

/** The counterpart of encodeBody. */
export function decodeBody(signature: string, bytes: Uint8Array, littleEndian = true): readonly DBusValue[] {
  const reader = new DBusReader(bytes, littleEndian);
  const values = parseSignature(signature).map((type) => reader.value(type));
  if (!reader.atEnd) malformed("a body is longer than its signature");
  return values;
}
