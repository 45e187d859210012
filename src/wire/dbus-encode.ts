/** D-Bus values -> bytes (D-Bus Specification, "Marshaling"), little endian. */
import { bug } from "../base/error.ts";
import {
  alignmentOf,
  type BasicCode,
  type DBusType,
  type DBusValue,
  type DBusVariant,
  isObjectPath,
  parseSignature,
  parseSingleType,
} from "./dbus-types.ts";

/** Ranges of the integers that a JavaScript number carries. */
const ranges: Partial<Record<BasicCode, readonly [low: number, high: number]>> = {
  y: [0, 0xff],
  n: [-0x8000, 0x7fff],
  q: [0, 0xffff],
  i: [-0x80000000, 0x7fffffff],
  u: [0, 0xffffffff],
  h: [0, 0xffffffff],
};

/** Writes values one after the other; grows as it must. */
export class DBusWriter {
  #bytes = Buffer.alloc(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  align(boundary: number): void {
    this.#room((boundary - (this.#length % boundary)) % boundary);
  }

  value(type: DBusType, value: DBusValue): void {
    switch (type.kind) {
      case "basic":
        this.#basic(type.code, value);
        return;
      case "variant": {
        const { signature, value: inner } = value as DBusVariant;
        this.#basic("g", signature);
        this.value(parseSingleType(signature), inner);
        return;
      }
      case "array":
        this.#array(type.element, value as readonly DBusValue[]);
        return;
      default: {
        const members = value as readonly DBusValue[];
        if (members.length !== type.members.length) bug("a D-Bus struct of another length than its type");
        this.align(8);
        for (const [index, member] of type.members.entries()) this.value(member, members[index]!);
      }
    }
  }

  /** Claims zeroed bytes at the end; says where they begin. */
  #room(count: number): number {
    const at = this.#length;
    if (at + count > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(at + count, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length = at + count;
    return at;
  }

  #array(element: DBusType, values: readonly DBusValue[]): void {
    this.align(4);
    const length = this.#room(4);
    // the length does not count the padding before the first element
    this.align(alignmentOf(element));
    const start = this.#length;
    for (const value of values) this.value(element, value);
    this.#bytes.writeUInt32LE(this.#length - start, length);
  }

  #basic(code: BasicCode, value: DBusValue): void {
    const range = ranges[code];
    if (range && !(Number.isInteger(value) && Number(value) >= range[0] && Number(value) <= range[1]))
      bug(`${String(value)} is no D-Bus ${code}`);
    if (code === "s" || code === "o" || code === "g") {
      this.#text(code, value as string);
      return;
    }
    const size = alignmentOf({ kind: "basic", code });
    this.align(size);
    const at = this.#room(size);
    const bytes = this.#bytes;
    switch (code) {
      case "y":
        bytes.writeUInt8(value as number, at);
        return;
      case "b":
        bytes.writeUInt32LE(value === true ? 1 : 0, at);
        return;
      case "n":
        bytes.writeInt16LE(value as number, at);
        return;
      case "q":
        bytes.writeUInt16LE(value as number, at);
        return;
      case "i":
        bytes.writeInt32LE(value as number, at);
        return;
      case "u":
      case "h":
        bytes.writeUInt32LE(value as number, at);
        return;
      case "x":
        bytes.writeBigInt64LE(value as bigint, at);
        return;
      case "t":
        bytes.writeBigUInt64LE(value as bigint, at);
        return;
      case "d":
        bytes.writeDoubleLE(value as number, at);
        return;
      default:
        code satisfies never;
    }
  }

  #text(code: "s" | "o" | "g", text: string): void {
    if (text.includes("\0")) bug("a D-Bus string holds a NUL character");
    if (code === "o" && !isObjectPath(text)) bug(`"${text}" is no D-Bus object path`);
    if (code === "g") parseSignature(text);
    const bytes = Buffer.from(text);
    if (code !== "g") this.align(4);
    const prefix = code === "g" ? 1 : 4;
    // claimed before it is written to: what holds the bytes may change by that
    const at = this.#room(prefix + bytes.length + 1);
    if (code === "g") this.#bytes.writeUInt8(bytes.length, at);
    else this.#bytes.writeUInt32LE(bytes.length, at);
    bytes.copy(this.#bytes, at + prefix);
  }
}

/** The body of a message: values of the signature's types. */
export function encodeBody(signature: string, values: readonly DBusValue[]): Uint8Array {
  const types = parseSignature(signature);
  if (types.length !== values.length) bug(`${values.length} D-Bus values for signature "${signature}"`);
  const writer = new DBusWriter();
  for (const [index, type] of types.entries()) writer.value(type, values[index]!);
  return writer.finish();
}
