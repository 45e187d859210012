/**
 * Reads the lines of a file that another process appends to and rotates (`log`, `log.1`, `log.2`, … from new to
 * old), from any point near its end, and optionally waits for more. Memory stays flat, however long the file is.
 */
import { watch } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, wrapErrno } from "../base/error.ts";

export interface ReadLinesOptions {
  /** How many files there are at most, the current one included. */
  readonly files?: number;
  /** Only the last so many lines that are there now. */
  readonly tail?: number;
  /** Wait for more until this is fulfilled; then what is there is still read to its end. */
  readonly ended?: Promise<unknown>;
  /** Bytes of one line; longer ones are left out. */
  readonly lineLimit?: number;
  readonly signal?: AbortSignal;
}

const chunkBytes = 64 * 1024;
/** A missed wake-up costs no more than this. */
const pollMs = 500;

interface Place {
  readonly handle: FileHandle;
  readonly inode: number;
  offset: number;
}

/** Lines without their newline. A last line that has no newline yet is not given out. */
export async function* readLines(path: string, options: ReadLinesOptions = {}): AsyncGenerator<Buffer> {
  const { signal, ended, lineLimit = 1024 * 1024 } = options;
  const files = options.files ?? 1;
  let over = ended === undefined;
  const wake = new Wake(dirname(path), signal);
  const finish = () => {
    over = true;
    wake.ring();
  };
  ended?.then(finish, finish);
  let place: Place | undefined;
  let partial: Buffer = Buffer.alloc(0);
  let skipping = false;
  try {
    place =
      options.tail === undefined ? await oldest(path, files) : await placeOfTail(path, files, options.tail);
    const chunk = Buffer.allocUnsafe(chunkBytes);
    for (;;) {
      signal?.throwIfAborted();
      // asked before reading: what was written before the end is read after it
      const last = over;
      if (!place) place = await oldest(path, files);
      const { bytesRead } = place
        ? await place.handle.read(chunk, 0, chunkBytes, place.offset)
        : { bytesRead: 0 };
      if (bytesRead === 0) {
        const next: Place | undefined = place ? await newer(path, files, place) : undefined;
        if (next) {
          await place?.handle.close();
          place = next;
          partial = Buffer.alloc(0);
          continue;
        }
        if (last) return;
        await wake.wait();
        continue;
      }
      place!.offset += bytesRead;
      let data: Buffer = Buffer.concat([partial, chunk.subarray(0, bytesRead)]);
      for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
        if (!skipping) yield data.subarray(0, end);
        skipping = false;
        data = data.subarray(end + 1);
      }
      if (data.length > lineLimit) {
        skipping = true;
        data = Buffer.alloc(0);
      }
      partial = data;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw wrapErrno(error, "read", path);
  } finally {
    wake.close();
    await place?.handle.close();
  }
}

function nameAt(path: string, index: number): string {
  return index === 0 ? path : `${path}.${index}`;
}

async function openAt(path: string): Promise<Place | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
  return { handle, inode: (await handle.stat()).ino, offset: 0 };
}

async function oldest(path: string, files: number): Promise<Place | undefined> {
  for (let index = files - 1; index >= 0; index--) {
    const place = await openAt(nameAt(path, index));
    if (place) return place;
  }
  return undefined;
}

/** The file that follows the one just read to its end, if that has been rotated away. */
async function newer(path: string, files: number, place: Place): Promise<Place | undefined> {
  for (let index = 0; index < files; index++) {
    const found = await stat(nameAt(path, index)).catch(() => undefined);
    if (found?.ino !== place.inode) continue;
    if (index === 0) return undefined;
    // more may have come to it between the read and its rotation
    if (found.size > place.offset) return reopened(nameAt(path, index), place);
    return await openAt(nameAt(path, index - 1));
  }
  return await oldest(path, files);
}

async function reopened(path: string, place: Place): Promise<Place | undefined> {
  const again = await openAt(path);
  if (again?.inode === place.inode) again.offset = place.offset;
  return again;
}

/** The place from which `lines` lines follow, looking back over rotated files. */
async function placeOfTail(path: string, files: number, lines: number): Promise<Place | undefined> {
  let missing = lines;
  let found: Place | undefined;
  for (let index = 0; index < files; index++) {
    const place = await openAt(nameAt(path, index));
    if (!place) break;
    await found?.handle.close();
    found = place;
    const size = (await place.handle.stat()).size;
    const chunk = Buffer.allocUnsafe(chunkBytes);
    // the newline that ends the last line is none of those in front of a line
    let end = size;
    while (end > 0) {
      const start = Math.max(0, end - chunkBytes);
      const { bytesRead } = await place.handle.read(chunk, 0, end - start, start);
      for (let at = bytesRead - 1; at >= 0; at--) {
        if (chunk[at] !== 10 || start + at === size - 1) continue;
        missing--;
        if (missing <= 0) {
          place.offset = lines === 0 ? size : start + at + 1;
          return place;
        }
      }
      end = start;
    }
    if (size > 0) missing--;
    if (missing <= 0) {
      place.offset = lines === 0 ? size : 0;
      return place;
    }
  }
  return found;
}

/** Wakes the reader when something happens in the folder, when rung, or after a while. */
class Wake {
  readonly #watcher: { close(): void } | undefined;
  readonly #signal: AbortSignal | undefined;
  #resolve: (() => void) | undefined;
  #rung = false;

  constructor(folder: string, signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#ring);
    try {
      const watcher = watch(folder, { persistent: false }, this.#ring);
      watcher.on("error", () => watcher.close());
      this.#watcher = watcher;
    } catch {
      // no more inotify watches to be had, or the folder is not there: the poll finds it
    }
  }

  readonly #ring = () => {
    this.#rung = true;
    this.#resolve?.();
  };

  ring(): void {
    this.#ring();
  }

  wait(): Promise<void> {
    if (this.#rung) {
      this.#rung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#ring(), pollMs);
      this.#resolve = () => {
        clearTimeout(timer);
        this.#rung = false;
        this.#resolve = undefined;
        resolve();
      };
    });
  }

  close(): void {
    this.#watcher?.close();
    this.#signal?.removeEventListener("abort", this.#ring);
    this.#resolve?.();
  }
}
