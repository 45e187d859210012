/** Frames of the dialogue as bytes; src/plan/protocol.ts draws who says what. */
import { GantryError } from "../base/error.ts";
import { frameHeaderBytes, frameLimitBytes } from "../plan/protocol.ts";

export interface Frame {
  readonly type: number;
  readonly payload: Uint8Array;
}

const nothing = new Uint8Array(0);

/** One frame as bytes. */
export function encodeFrame(type: number, payload: Uint8Array = nothing): Uint8Array {
  if (payload.length > frameLimitBytes)
    throw new GantryError(
      "resource-exhausted",
      `encode frame: ${payload.length} bytes are more than ${frameLimitBytes}`,
    );
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt32LE(type, 4);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

/** Cuts a byte stream into frames; give it chunks of any size. A payload may share memory with its chunk. */
export class FrameReader {
  readonly #limitBytes: number;
  #rest: Buffer = Buffer.alloc(0);

  /** `limitBytes`: the longest payload that is accepted. */
  constructor(limitBytes = frameLimitBytes) {
    this.#limitBytes = limitBytes;
  }

  /** The frames that `chunk` completes, in order. */
  push(chunk: Uint8Array): readonly Frame[] {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const frames: Frame[] = [];
    // only the frame that was begun is put together; the others stay where they are
    while (this.#rest.length > 0 && bytes.length > 0) {
      const lacking = this.#frameBytes(this.#rest) - this.#rest.length;
      this.#rest = Buffer.concat([this.#rest, bytes.subarray(0, lacking)]);
      bytes = bytes.subarray(lacking);
      this.#rest = this.#cut(this.#rest, frames);
    }
    if (bytes.length > 0) this.#rest = this.#cut(bytes, frames);
    return frames;
  }

  /** Takes the whole frames off, and gives back what follows them. */
  #cut(bytes: Buffer, frames: Frame[]): Buffer {
    let rest = bytes;
    while (rest.length >= frameHeaderBytes) {
      const end = this.#frameBytes(rest);
      if (rest.length < end) break;
      frames.push({ type: rest[4]!, payload: rest.subarray(frameHeaderBytes, end) });
      rest = rest.subarray(end);
    }
    return rest;
  }

  /** Of the frame that begins with `bytes`, or of its header as long as that is incomplete. */
  #frameBytes(bytes: Buffer): number {
    if (bytes.length < frameHeaderBytes) return frameHeaderBytes;
    const length = bytes.readUInt32LE(0);
    if (length > this.#limitBytes || bytes[5] !== 0 || bytes[6] !== 0 || bytes[7] !== 0)
      throw new GantryError(
        "data-loss",
        `read frame: a header of ${length} bytes and type ${bytes[4]} is malformed`,
      );
    return frameHeaderBytes + length;
  }

  /** The stream has ended: fails if it did so within a frame. */
  finish(): void {
    if (!this.isComplete) throw new GantryError("data-loss", "read frame: the stream ended within a frame");
  }

  /** True if the stream may end here. */
  get isComplete(): boolean {
    return this.#rest.length === 0;
  }
}
