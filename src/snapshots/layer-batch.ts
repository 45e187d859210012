/**
 * One frame of a layer session in the making: the binary plan of src/plan/encode.ts, holding layer
 * steps only. Written here once more because paths of archives are bytes that no JavaScript string in
 * UTF-8 can carry, and because file data goes from the archive's chunk into the frame with one copy.
 */
import { bug, GantryError } from "../base/error.ts";
import { type OperandKind, type OperationName, operations } from "../plan/operations.ts";
import { planVersion } from "../plan/plan.ts";
import { frameHeaderBytes, frameLimitBytes, requests } from "../plan/protocol.ts";
import type { ByteString } from "../wire/tar-format.ts";

export type LayerOperation = Extract<OperationName, `layer-${string}`>;

interface LayerValue {
  readonly u32: number;
  /** May be negative: times before 1970. */
  readonly u64: number;
  readonly text: ByteString;
  readonly texts: readonly ByteString[];
  readonly bytes: Uint8Array;
  /** Register numbers. */
  readonly fd: number;
  readonly "fd+": number;
  readonly "fd-": number;
}

export type LayerOperands<N extends LayerOperation> = {
  readonly [K in keyof (typeof operations)[N]["operands"]]: (typeof operations)[N]["operands"][K] extends keyof LayerValue
    ? LayerValue[(typeof operations)[N]["operands"][K]]
    : never;
};

const magic = 0x50544e47;
const planHeaderBytes = 48;
const firstStep = frameHeaderBytes + planHeaderBytes;
/** Registers that a session may use. */
const registers = 64;
/** Steps without their data are shorter than this: two paths, numbers. */
const stepRoom = 3 * 4096 + 512;

const operandsOf = new Map<LayerOperation, readonly (readonly [string, OperandKind])[]>();

function operandList(name: LayerOperation): readonly (readonly [string, OperandKind])[] {
  let list = operandsOf.get(name);
  if (!list) {
    list = Object.entries(operations[name].operands as Readonly<Record<string, OperandKind>>);
    operandsOf.set(name, list);
  }
  return list;
}

export class LayerBatch {
  /** Payload at which a batch should be sent. */
  static readonly targetBytes = 1024 * 1024;

  readonly #bytes = Buffer.allocUnsafe(LayerBatch.targetBytes + 2 * stepRoom);
  #length = firstStep;
  #steps = 0;
  /** The file step that data can still be added to: offsets of its start, `more` and data length. */
  #stepStart = 0;
  #more = 0;
  #data = 0;

  get isEmpty(): boolean {
    return this.#steps === 0;
  }

  /** Bytes of file data that still fit. */
  get room(): number {
    return LayerBatch.targetBytes - this.#length;
  }

  clear(): void {
    this.#length = firstStep;
    this.#steps = 0;
    this.#more = 0;
  }

  /** Adds a step. Values of variable length must leave `room` positive before; the target has slack for one step. */
  add<N extends LayerOperation>(name: N, operands: LayerOperands<N>): void {
    const start = this.#length;
    const bytes = this.#bytes;
    this.#stepStart = start;
    this.#more = 0;
    this.#data = 0;
    bytes.writeUInt32LE(operations[name].number, start);
    // no pointer and no phrase: two empty texts with their padding
    bytes.fill(0, start + 8, start + 24);
    this.#length = start + 24;
    const values = operands as unknown as Readonly<Record<string, unknown>>;
    for (const [operand, kind] of operandList(name)) {
      if (operand === "more") this.#more = this.#length;
      if (operand === "data") this.#data = this.#length;
      this.#operand(kind, values[operand]);
    }
    bytes.writeUInt32LE(this.#length - start, start + 4);
    this.#steps++;
  }

  /** Adds data to the file step added last, up to `room`; gives the number of bytes taken. */
  extend(data: Uint8Array): number {
    const before = this.#bytes.readUInt32LE(this.#data);
    const taken = Math.min(data.length, Math.max(0, this.room));
    this.#bytes.set(taken === data.length ? data : data.subarray(0, taken), this.#data + 4 + before);
    this.#closeData(before + taken);
    return taken;
  }

  /** Whether the step added last is one of a file and still in this batch. */
  get isOpenFile(): boolean {
    return this.#more !== 0;
  }

  /** Says of the open file that all of it is there. */
  endFile(): void {
    this.#bytes.writeUInt32LE(0, this.#more);
    this.#more = 0;
  }

  /** The frame: header and plan. Valid until `clear`. */
  frame(): Uint8Array {
    const bytes = this.#bytes;
    const total = this.#length - frameHeaderBytes;
    if (total > frameLimitBytes) bug(`layer batch of ${total} bytes`);
    bytes.writeUInt32LE(total, 0);
    bytes.writeUInt32LE(requests.plan, 4);
    bytes.writeUInt32LE(magic, 8);
    bytes.writeUInt32LE(planVersion, 12);
    bytes.writeUInt32LE(total, 16);
    bytes.writeUInt32LE(registers, 20);
    for (let stage = 0; stage < 4; stage++) {
      // the layer stage is the last of the four, the others are empty and end where it begins
      bytes.writeUInt32LE(planHeaderBytes, 24 + stage * 8);
      bytes.writeUInt32LE(stage === 3 ? this.#steps : 0, 28 + stage * 8);
    }
    return bytes.subarray(0, this.#length);
  }

  #closeData(length: number): void {
    const bytes = this.#bytes;
    const end = this.#data + 4 + length;
    const padded = (end + 3) & ~3;
    bytes.fill(0, end, padded);
    bytes.writeUInt32LE(length, this.#data);
    this.#length = padded;
    bytes.writeUInt32LE(padded - this.#stepStart, this.#stepStart + 4);
  }

  #u32(value: number): void {
    this.#bytes.writeUInt32LE(value, this.#length);
    this.#length += 4;
  }

  #text(value: ByteString): void {
    if (value.length > 4096 || value.includes("\0"))
      throw new GantryError(
        "invalid-argument",
        `encode layer step: a text of ${value.length} bytes, or with a NUL`,
      );
    const start = this.#length + 4;
    this.#u32(value.length);
    this.#bytes.write(value, start, "latin1");
    const end = (start + value.length + 4) & ~3;
    this.#bytes.fill(0, start + value.length, end);
    this.#length = end;
  }

  #operand(kind: OperandKind, value: unknown): void {
    switch (kind) {
      case "u64": {
        const high = Math.floor((value as number) / 2 ** 32);
        this.#u32((value as number) - high * 2 ** 32);
        this.#u32(high >>> 0);
        return;
      }
      case "text":
        this.#text(value as ByteString);
        return;
      case "bytes": {
        const data = value as Uint8Array;
        const start = this.#length;
        if (start + data.length + 8 > this.#bytes.length)
          bug(`layer data of ${data.length} bytes in a full batch`);
        this.#bytes.writeUInt32LE(data.length, start);
        this.#bytes.set(data, start + 4);
        const end = start + 4 + data.length;
        this.#length = (end + 3) & ~3;
        this.#bytes.fill(0, end, this.#length);
        return;
      }
      case "texts":
        this.#u32((value as readonly ByteString[]).length);
        for (const text of value as readonly ByteString[]) this.#text(text);
        return;
      case "u32":
      case "fd":
      case "fd+":
      case "fd-":
        this.#u32(value as number);
        return;
      default:
        bug(`operand kind ${kind} in a layer step`);
    }
  }
}
