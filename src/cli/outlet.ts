/** Writes what pours to a descriptor of this program without ever waiting in a write: signals must be heard while a pager rests. */
import { closeSync, constants, fstatSync, openSync, writev, writevSync } from "node:fs";
import { errnoOf } from "../base/error.ts";

/** Chunks behind their first `bytes`. */
function behind(chunks: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let at = bytes;
  const first = chunks.findIndex((chunk) => {
    if (chunk.length > at) return true;
    at -= chunk.length;
    return false;
  });
  return first < 0 ? [] : [chunks[first]!.subarray(at), ...chunks.slice(first + 1)];
}

/**
 * A descriptor that can be written to here and now, which saves a thread's help with each write: a file, or a pipe or
 * terminal opened once more so that it refuses instead of waiting. (The mode of ours is shared with other programs.)
 */
function openQuick(fd: number): number | undefined {
  try {
    const stat = fstatSync(fd);
    if (stat.isFile()) return fd;
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return undefined;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // closed, or not ours to open: the slow way tells
    return undefined;
  }
}

export class Outlet implements Disposable {
  readonly #fd: number;
  readonly #quick: number | undefined;

  constructor(fd: number) {
    this.#fd = fd;
    this.#quick = openQuick(fd);
  }

  /** Writes all of it; false when nobody reads the descriptor any more. */
  async write(chunks: readonly Uint8Array[]): Promise<boolean> {
    let left: readonly Uint8Array[] = chunks.filter(({ length }) => length > 0);
    while (left.length > 0) {
      try {
        left = behind(left, this.#writeQuick(left) ?? (await this.#writeSlow(left)));
      } catch (error) {
        if (errnoOf(error) === "EPIPE") return false;
        if (errnoOf(error) !== "EAGAIN") throw error;
        await new Promise((later) => setTimeout(later, 2));
      }
    }
    return true;
  }

  /** Undefined if it would have to wait. */
  #writeQuick(chunks: readonly Uint8Array[]): number | undefined {
    if (this.#quick === undefined) return undefined;
    try {
      return writevSync(this.#quick, [...chunks]);
    } catch (error) {
      if (errnoOf(error) === "EAGAIN") return undefined;
      throw error;
    }
  }

  #writeSlow(chunks: readonly Uint8Array[]): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#fd, chunks, (error, written) => (error ? reject(error) : resolve(written)));
    });
  }

  [Symbol.dispose](): void {
    if (this.#quick !== undefined && this.#quick !== this.#fd) closeSync(this.#quick);
  }
}
