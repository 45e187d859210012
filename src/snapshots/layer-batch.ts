/**
 * One frame of a layer session in the making: the binary plan of src/plan/encode.ts, holding layer
 * steps only. Written here once more because paths of archives are bytes that no JavaScript string in
 * UTF-8 can carry, and because the last piece of a file may still grow while the frame is made.
 */
import { bug, GantryError } from "../base/error.ts";
import { type OperandKind, type OperationName, operations } from "../plan/operations.ts";
import { planVersion } from "../plan/plan.ts";
import { frameHeaderBytes, frameLimitBytes, requests } from "../plan/protocol.ts";
import type { ByteString } from "../wire/tar-format.ts";

export type LayerOperation = Extract<
  OperationName,
  `layer-${string}` | `view-${string}` | `tree-${string}` | "remove-tree"
>;

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
/** A step has at most two paths or a path and the value of an xattr. */
const stepRoom = 3 * 4096 + 64 * 1024;

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
  /** Length at which a batch should be sent: some hundred steps. */
  static readonly targetBytes = 64 * 1024;

  readonly #bytes = Buffer.allocUnsafe(LayerBatch.targetBytes + stepRoom);
  #length = firstStep;
  #steps = 0;
  /** Operands of the file step added last that may still change: offsets in the frame, 0 for none. */
  #more = 0;
  #pieceLength = 0;
  /** Offset in the spool at which its piece ends. */
  #pieceEnd = 0;

  get isEmpty(): boolean {
    return this.#steps === 0;
  }

  get isFull(): boolean {
    return this.#length >= LayerBatch.targetBytes;
  }

  clear(): void {
    this.#length = firstStep;
    this.#steps = 0;
    this.#more = 0;
  }

  /** Adds a step; the batch may not be full. */
  add<N extends LayerOperation>(name: N, operands: LayerOperands<N>): void {
    if (this.isFull) bug("layer batch that was not sent in time");
    const start = this.#length;
    const bytes = this.#bytes;
    this.#more = 0;
    bytes.writeUInt32LE(operations[name].number, start);
    // no pointer and no phrase: two empty texts with their padding
    for (let at = start + 8; at < start + 24; at += 4) bytes.writeUInt32LE(0, at);
    this.#length = start + 24;
    const values = operands as unknown as Readonly<Record<string, unknown>>;
    for (const [operand, kind] of operandList(name)) {
      if (operand === "more") this.#more = this.#length;
      if (operand === "length") {
        this.#pieceLength = this.#length;
        this.#pieceEnd = (values.from as number) + (values.length as number);
      }
      this.#operand(kind, values[operand]);
    }
    bytes.writeUInt32LE(this.#length - start, start + 4);
    this.#steps++;
  }

  /** Lengthens the piece of the open file if `from` follows it in the spool; false if it does not. */
  extend(from: number, length: number): boolean {
    if (this.#more === 0 || from !== this.#pieceEnd) return false;
    this.#bytes.writeUInt32LE(this.#bytes.readUInt32LE(this.#pieceLength) + length, this.#pieceLength);
    this.#pieceEnd += length;
    return true;
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
    for (let at = start + value.length; at < end; at++) this.#bytes[at] = 0;
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
        if (start + data.length + 8 > this.#bytes.length) bug(`layer value of ${data.length} bytes`);
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
