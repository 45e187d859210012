/**
 * Plan -> bytes for the executor, little-endian, everything aligned to 4:
 *
 *     header   "GNTP" | u32 version | u32 total bytes | u32 registers
 *              4 x { u32 offset, u32 steps }               host, child, cleanup, layer
 *     step     u32 operation | u32 bytes of this step, header included
 *              text where | text phrase | operands in the order of the table
 *     u32      4 bytes; u64: 8 bytes
 *     text     u32 length | bytes | NUL | padding
 *     bytes    u32 length | bytes | padding
 *     texts    u32 count | text …; numbers: u32 count | u32 …
 *     fd       u32 register, 0xffffffff for none
 */
import { bug, GantryError } from "../base/error.ts";
import { type OperandKind, operations } from "./operations.ts";
import { type Plan, planVersion, type Step } from "./plan.ts";

/** Registers that a plan may use. */
export const registerLimit = 256;
const noRegister = 0xffffffff;

class Writer {
  #bytes = Buffer.allocUnsafe(32 * 1024);
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
  length = 0;

  #room(size: number): number {
    const start = this.length;
    if (start + size > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, start + size));
      this.#bytes.copy(larger, 0, 0, start);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer, larger.byteOffset, larger.length);
    }
    this.length = start + size;
    return start;
  }

  u32(value: number): void {
    // cut to 32 bits an id or a mask would become another one
    if (value >>> 0 !== value) bug(`${value} as an operand of 32 bits`);
    // first, since making room may put another view in the place of this one
    const start = this.#room(4);
    this.#view.setUint32(start, value, true);
  }

  u64(value: number | bigint): void {
    const start = this.#room(8);
    this.#view.setBigUint64(start, BigInt.asUintN(64, BigInt(value)), true);
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    const start = this.#room((value.length + 3) & ~3);
    this.#bytes.set(value, start);
    for (let at = start + value.length; at < this.length; at++) this.#bytes[at] = 0;
  }

  /** Written in place: a plan holds hundreds of texts, and most are a few bytes long. */
  text(value: string): void {
    if (value.includes("\0"))
      throw new GantryError(
        "invalid-argument",
        `encode plan: ${JSON.stringify(value.slice(0, 80))} holds a NUL character`,
      );
    // a UTF-16 unit becomes three bytes at most; then the NUL and up to three bytes of padding
    const start = this.#room(4 + value.length * 3 + 4);
    const written = value === "" ? 0 : this.#bytes.write(value, start + 4);
    this.#view.setUint32(start, written, true);
    this.length = start + 4 + ((written + 4) & ~3);
    for (let at = start + 4 + written; at < this.length; at++) this.#bytes[at] = 0;
  }

  patch(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

class Registers {
  readonly #numbers = new Map<string, number>();

  of(name: string | undefined): number {
    if (name === undefined) return noRegister;
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#numbers.size;
      if (number >= registerLimit)
        throw new GantryError("resource-exhausted", `encode plan: more than ${registerLimit} descriptors`);
      this.#numbers.set(name, number);
    }
    return number;
  }

  get size(): number {
    return this.#numbers.size;
  }
}

function writeOperand(writer: Writer, registers: Registers, kind: OperandKind, value: unknown): void {
  switch (kind) {
    case "u32":
      writer.u32(value as number);
      break;
    case "u64":
      writer.u64(value as number | bigint);
      break;
    case "text":
      writer.text(value as string);
      break;
    case "bytes":
      writer.bytes(value as Uint8Array);
      break;
    case "texts": {
      const texts = value as readonly string[];
      writer.u32(texts.length);
      for (const text of texts) writer.text(text);
      break;
    }
    case "numbers": {
      const numbers = value as readonly number[];
      writer.u32(numbers.length);
      for (const number of numbers) writer.u32(number);
      break;
    }
    case "fd":
    case "fd?":
    case "fd+":
    case "fd-":
      writer.u32(registers.of(value as string | undefined));
      break;
    default:
      kind satisfies never;
      bug(`operand kind ${String(kind)}`);
  }
}

function writeStep(writer: Writer, registers: Registers, step: Step): void {
  const { number, operands } = operations[step.op];
  const start = writer.length;
  writer.u32(number);
  writer.u32(0);
  writer.text(step.where);
  writer.text(step.phrase ?? "");
  const values = step as unknown as Readonly<Record<string, unknown>>;
  for (const name in operands)
    writeOperand(writer, registers, (operands as Record<string, OperandKind>)[name]!, values[name]);
  writer.patch(start + 4, writer.length - start);
}

/** The binary form of a plan. */
export function encodePlan(plan: Plan): Uint8Array {
  const writer = new Writer();
  const registers = new Registers();
  for (let word = 0; word < 12; word++) writer.u32(0);
  [plan.host, plan.child, plan.cleanup, plan.layer ?? []].forEach((steps, stage) => {
    writer.patch(16 + stage * 8, writer.length);
    writer.patch(20 + stage * 8, steps.length);
    for (const step of steps) writeStep(writer, registers, step);
  });
  writer.patch(0, 0x50544e47); // "GNTP"
  writer.patch(4, planVersion);
  writer.patch(8, writer.length);
  writer.patch(12, registers.size);
  return writer.finish();
}
