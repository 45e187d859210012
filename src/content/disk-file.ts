/** Streams of files: large chunks, one read ahead, closed on every way out. */
import { type FileHandle, open } from "node:fs/promises";

/** Large enough that per-chunk costs vanish beside hashing and inflating. */
export const chunkBytes = 512 * 1024;

async function readChunk(file: FileHandle, offset: number, limit: number): Promise<Buffer> {
  const size = Math.min(chunkBytes, limit - offset);
  if (size <= 0) return Buffer.alloc(0);
  const buffer = Buffer.allocUnsafeSlow(size);
  const { bytesRead } = await file.read(buffer, 0, size, offset);
  return buffer.subarray(0, bytesRead);
}

/** The bytes [offset, end) of an open file; ends early if the file does. */
export async function* readRange(
  file: FileHandle,
  offset: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let position = offset;
  let next = readChunk(file, position, end);
  // an unread chunk that failed must not become an unhandled rejection
  next.catch(() => {});
  for (;;) {
    signal?.throwIfAborted();
    const chunk = await next;
    if (chunk.length === 0) return;
    position += chunk.length;
    next = readChunk(file, position, end);
    next.catch(() => {});
    try {
      yield chunk;
    } finally {
      // the caller may close the file as soon as this generator has returned
      await next.catch(() => {});
    }
  }
}

/** Opens, streams, closes. */
export async function* readFileFrom(
  path: string,
  offset: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  await using file = await openDisposable(path);
  yield* readRange(file.handle, offset, Number.MAX_SAFE_INTEGER, signal);
}

async function openDisposable(path: string): Promise<AsyncDisposable & { readonly handle: FileHandle }> {
  const handle = await open(path, "r");
  return { handle, [Symbol.asyncDispose]: () => handle.close() };
}

/** Flushes the names in a folder. On the pool: a journal commit may wait for much other data. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await openDisposable(path);
  await folder.handle.sync();
}
