/**
 * Standard output and standard error. What a command prints goes out by plain write(2) calls:
 * opening the stream objects costs more than most commands do. A reader that has gone away ends the output quietly.
 */
import { writeSync } from "node:fs";
import { errnoOf } from "../base/error.ts";

export class Output {
  /** Set when the reader of stdout has gone. */
  closed = false;

  out(text: string | Uint8Array): void {
    if (!this.closed) this.closed = !writeAll(1, typeof text === "string" ? Buffer.from(text) : text);
  }

  err(text: string | Uint8Array): void {
    writeAll(2, typeof text === "string" ? Buffer.from(text) : text);
  }
}

/** Writes all of it, waiting where the descriptor is a full non-blocking pipe; false if nobody reads any more. */
export function writeAll(fd: number, data: Uint8Array): boolean {
  for (let offset = 0; offset < data.length; ) {
    try {
      offset += writeSync(fd, data, offset, data.length - offset);
    } catch (error) {
      if (errnoOf(error) === "EPIPE") return false;
      if (errnoOf(error) !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  return true;
}
