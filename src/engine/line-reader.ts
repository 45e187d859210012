/**
 * Reads the lines of a file that another process appends to and rotates (`log`, `log.1`, `log.2`, … from new to
 * old), from any point near its end, and optionally waits for more. Memory stays flat, however long the file is.
 */
import { watch } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { identityOf, openUnpacked, packedIdentity } from "./packed-file.ts";

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
  readonly identity: string;
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
        const before: number = place?.offset ?? 0;
        const next: Place | undefined = place
          ? await following(path, files, place, partial.length)
          : undefined;
        if (next) {
          if (next !== place) {
            await place?.handle.close();
            partial = Buffer.alloc(0);
          } else if (next.offset < before) partial = Buffer.alloc(0);
          place = next;
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

interface Found {
  readonly name: string;
  /** Of one that was compressed that of the file before. */
  readonly identity: string;
  readonly packed: boolean;
}

/** How often a search is repeated while files are turned over faster than it can look. */
const searches = 100;

/**
 * The files that are there, from new to old. A rotation under way only moves files towards higher numbers, the way
 * the search goes: it may see one twice but passes none by, so two neighbours here did follow one another. Behind
 * two rotations it could see what is newer after what is older, and looks again.
 */
async function search(path: string, files: number): Promise<Found[]> {
  for (let tries = 1; ; tries++) {
    const found: Found[] = [];
    let newest = 0;
    for (let index = 0; index < files; index++) {
      const one = await lookAtIndex(path, index);
      if (!one || found.some(({ identity }) => identity === one.identity)) continue;
      if (found.length === 0) newest = index;
      found.push(one);
    }
    if (found.length < 2 || tries === searches) return found;
    for (const index of [newest, newest + 1])
      if ((await lookAtIndex(path, index))?.identity === found[0]!.identity) return found;
  }
}

async function lookAtIndex(path: string, index: number): Promise<Found | undefined> {
  const name = nameAt(path, index);
  // the compressed one is there before the other goes
  return (await lookAt(name)) ?? (index > 0 ? await lookAtPacked(`${name}.gz`) : undefined);
}

async function lookAt(name: string): Promise<Found | undefined> {
  try {
    return { name, identity: identityOf(await stat(name, { bigint: true })), packed: false };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function lookAtPacked(name: string): Promise<Found | undefined> {
  const handle = await openIfThere(name);
  if (!handle) return undefined;
  try {
    const identity = (await packedIdentity(handle)) ?? identityOf(await handle.stat({ bigint: true }));
    return { name, identity, packed: true };
  } finally {
    await handle.close();
  }
}

async function openIfThere(name: string): Promise<FileHandle | undefined> {
  try {
    return await open(name, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The file at its beginning; undefined if its name has come to mean another one since the search. */
async function openFound(found: Found): Promise<Place | undefined> {
  const { name, identity } = found;
  if (found.packed) {
    try {
      const handle = await openUnpacked(name);
      // it may have moved on while it was read
      if ((await lookAtPacked(name))?.identity === identity) return { handle, identity, offset: 0 };
      await handle.close();
      return undefined;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }
  const handle = await openIfThere(name);
  if (!handle) return undefined;
  if (identityOf(await handle.stat({ bigint: true })) === identity) return { handle, identity, offset: 0 };
  await handle.close();
  return undefined;
}

async function oldest(path: string, files: number): Promise<Place | undefined> {
  for (;;) {
    const found = (await search(path, files)).at(-1);
    if (!found) return undefined;
    const place = await openFound(found);
    if (place) return place;
  }
}

/** Where to read on after the end of a file: in the same one, in the next, or nowhere yet. */
async function following(
  path: string,
  files: number,
  place: Place,
  partialBytes: number,
): Promise<Place | undefined> {
  for (;;) {
    const found = await search(path, files);
    const at = found.findIndex(({ identity }) => identity === place.identity);
    // more may have come to it between the last read and its rotation, also to one that has no name any more
    const { size } = await place.handle.stat();
    if (size > place.offset) return place;
    const lacks = place.offset - size;
    // half a line that found no room on the disk is cut off again, and another one written in its place
    if (lacks > 0 && lacks <= partialBytes) {
      place.offset -= partialBytes;
      return place;
    }
    // somebody has begun the file anew
    const next = at >= 0 && lacks > 0 ? found[at] : at < 0 ? found.at(-1) : found[at - 1];
    if (!next) return undefined;
    const opened = await openFound(next);
    if (opened) return opened;
  }
}

/** The place from which `lines` lines follow, looking back over rotated files. */
async function placeOfTail(path: string, files: number, lines: number): Promise<Place | undefined> {
  for (;;) {
    let missing = lines;
    let place: Place | undefined;
    let rotated = false;
    for (const found of await search(path, files)) {
      const older = await openFound(found);
      if (!older) {
        rotated = true;
        break;
      }
      await place?.handle.close();
      place = older;
      const { size } = await place.handle.stat();
      const at = await lineStart(place.handle, size, missing);
      place.offset = at.offset;
      missing = at.missing;
      if (missing <= 0) return place;
    }
    if (!rotated) return place;
    await place?.handle.close();
  }
}

/** Where the last `lines` lines of a file begin, and how many it lacks. */
async function lineStart(handle: FileHandle, size: number, lines: number) {
  if (lines === 0) return { offset: size, missing: 0 };
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let missing = lines;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - chunkBytes);
    const { bytesRead } = await handle.read(chunk, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      // the newline that ends the last line is none of those in front of a line
      if (chunk[at] !== 10 || start + at === size - 1) continue;
      missing--;
      if (missing === 0) return { offset: start + at + 1, missing };
    }
    end = start;
  }
  return { offset: 0, missing: size > 0 ? missing - 1 : missing };
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
