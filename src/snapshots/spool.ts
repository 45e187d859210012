/**
 * The way of file data into the executor: a ring in a file that both sides have open. The controller
 * writes the archive's chunks into it as they come, headers and all, and steps name the pieces that
 * are file data. So a byte is copied twice (into the ring, into its file), and neither side waits for
 * the other as long as the ring has room; a socket holds 200 KiB and made each side wait for the
 * other's wake-up every time.
 */
import { closeSync, constants, ftruncateSync, openSync, statfsSync, writeSync } from "node:fs";
import { bug, wrapErrno } from "../base/error.ts";

/** Small enough to stay in a processor's cache, large enough for some chunks under way. */
export const spoolBytes = 8 * 1024 * 1024;

/** Longest chunk that `write` takes. */
export const spoolChunkBytes = 1024 * 1024;

const tmpfsMagic = 0x01021994;
// O_TMPFILE of asm-generic/fcntl.h, which node:fs does not name; the same on x86-64 and arm64 but for O_DIRECTORY
const temporaryFile = 0o20000000 | constants.O_DIRECTORY;

function openUnnamed(directory: string): number {
  return openSync(directory, temporaryFile | constants.O_RDWR | constants.O_EXCL, 0o600);
}

/** A file without a name: in memory where there is a tmpfs, else on the disk of `fallback`. */
function openSpoolFile(fallback: string): number {
  for (const directory of ["/dev/shm", "/run", "/tmp"])
    try {
      if (statfsSync(directory).type === tmpfsMagic) return openUnnamed(directory);
    } catch {
      // not there, or not ours to write to: try the next
    }
  try {
    return openUnnamed(fallback);
  } catch (error) {
    throw wrapErrno(error, "open spool", fallback);
  }
}

export class Spool implements Disposable {
  readonly fd: number;
  /** Positions count all bytes ever written; the place in the ring is the remainder. */
  #written = 0;
  #freed = 0;

  constructor(fallbackDirectory: string) {
    this.fd = openSpoolFile(fallbackDirectory);
    try {
      ftruncateSync(this.fd, spoolBytes);
    } catch (error) {
      closeSync(this.fd);
      throw wrapErrno(error, "open spool", fallbackDirectory);
    }
  }

  /** Position up to which has been written. */
  get position(): number {
    return this.#written;
  }

  /** Whether a chunk of this length can be written now. */
  hasRoom(length: number): boolean {
    const place = this.#written % spoolBytes;
    const skipped = place + length > spoolBytes ? spoolBytes - place : 0;
    return this.#written + skipped + length - this.#freed <= spoolBytes;
  }

  /** Writes a chunk whole, never around the end of the ring; gives its offset in the file. */
  write(chunk: Uint8Array): number {
    if (!this.hasRoom(chunk.length)) bug("spool without room");
    let place = this.#written % spoolBytes;
    if (place + chunk.length > spoolBytes) {
      this.#written += spoolBytes - place;
      place = 0;
    }
    for (let done = 0; done < chunk.length; )
      done += writeSync(this.fd, chunk, done, chunk.length - done, place + done);
    this.#written += chunk.length;
    return place;
  }

  /** Everything before `position` has been read by the executor. */
  free(position: number): void {
    this.#freed = position;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
