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
    let bytes =
      this.#rest.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
        : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (bytes.length >= frameHeaderBytes) {
      const length = bytes.readUInt32LE(0);
      const type = bytes[4]!;
      if (length > this.#limitBytes || bytes[5] !== 0 || bytes[6] !== 0 || bytes[7] !== 0)
        throw new GantryError(
          "data-loss",
          `read frame: a header of ${length} bytes and type ${type} is malformed`,
        );
      if (bytes.length < frameHeaderBytes + length) break;
      frames.push({ type, payload: bytes.subarray(frameHeaderBytes, frameHeaderBytes + length) });
      bytes = bytes.subarray(frameHeaderBytes + length);
    }
    this.#rest = bytes;
    return frames;
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
