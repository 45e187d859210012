/**
 * One executor that looks into a root which somebody else may be changing: what is there, what is in a directory, the
 * bytes of a file. It resolves no symlink; `resolveInView` does that, one look a component.
 *
 * Requests are answered in order. Several may be under way, and each answer is to be taken, whole, before the next.
 */
import { bug, type ErrorCode, GantryError, wrapErrno } from "../base/error.ts";
import { Dialogue } from "../launch/dialogue.ts";
import type { Frame } from "../launch/frames.ts";
import { decodeFailure } from "../launch/report.ts";
import { errnoName, errnoWords } from "../linux/errno.ts";
import { replies } from "../plan/protocol.ts";
import { type ByteString, type TarExtent, textOfByteString } from "../wire/tar-format.ts";
import { LayerBatch, type LayerOperands, type LayerOperation } from "./layer-batch.ts";
import { decodeTreeEntry, type TreeEntry } from "./tree-entry.ts";
import { openView, type View } from "./view.ts";

/** It was there a moment ago, or is something else by now. */
const gone: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EINVAL", "ESTALE"]);

const codeOf: Readonly<Record<string, ErrorCode>> = {
  ESRCH: "failed-precondition",
  EPERM: "permission-denied",
  EACCES: "permission-denied",
  ENAMETOOLONG: "invalid-argument",
  ENOENT: "not-found",
  EMFILE: "resource-exhausted",
  ENOMEM: "resource-exhausted",
};

interface Request {
  readonly path: ByteString;
  readonly holes: boolean;
}

export interface TakenFile {
  readonly entry: TreeEntry;
  /** Which parts the data are of, where holes were asked for. */
  readonly extents?: readonly TarExtent[];
  readonly data: AsyncIterable<Uint8Array>;
}

function decodeExtents(frame: Frame | undefined): readonly TarExtent[] {
  if (frame?.type !== replies.extents || frame.payload.length % 16 !== 0)
    throw new GantryError("data-loss", "read tree: no extents of a file");
  const { buffer, byteOffset, byteLength } = frame.payload;
  const view = new DataView(buffer, byteOffset, byteLength);
  const number = (at: number) => Number(view.getBigUint64(at, true));
  return Array.from({ length: byteLength / 16 }, (_, index) => ({
    offset: number(index * 16),
    sizeBytes: number(index * 16 + 8),
  }));
}

export class TreeSession implements AsyncDisposable {
  readonly #dialogue: Dialogue;
  readonly #what: string;
  readonly #batch = new LayerBatch();
  readonly #asked: Request[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => this.#dialogue.socket.destroy();
  #roots = 0;

  /** `what` begins the message of a failure ("look into container …"). */
  constructor(executor: string, what: string, options: { readonly signal?: AbortSignal } = {}) {
    options.signal?.throwIfAborted();
    this.#what = what;
    try {
      this.#dialogue = new Dialogue({ executor, mode: "layers" });
    } catch (error) {
      throw wrapErrno(error, "start executor", executor);
    }
    this.#signal = options.signal;
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** Opens a view; gives its number, by which the others name it. */
  async open(view: View): Promise<number> {
    const root = this.#roots++;
    const steps: (() => void)[] = [];
    openView(
      { add: (name, operands) => void steps.push(() => this.#send(name, operands, "" as ByteString)) },
      view,
      root,
    );
    for (const step of steps) step();
    for (let left = steps.length; left > 0; left--) await this.#end();
    return root;
  }

  /** What is at a path without a symlink above its end; undefined if nothing is. */
  async stat(root: number, path: ByteString): Promise<TreeEntry | undefined> {
    this.#send("tree-stat", { root, path }, path);
    const frame = await this.#next();
    const entry = frame && this.#entryOf(frame);
    await this.#end();
    return entry;
  }

  /** What is in a directory, by name; undefined if there is none (any more). */
  async list(root: number, path: ByteString): Promise<readonly TreeEntry[] | undefined> {
    this.#send("tree-list", { root, path }, path);
    const entries: TreeEntry[] = [];
    let there = true;
    for (;;) {
      const frame = await this.#next();
      if (frame === undefined) break;
      const found = decodeTreeEntry(frame.payload);
      // without a name it is the directory itself that could not be read
      if ("errno" in found && found.name === "") there = this.#entryOf(frame) !== undefined;
      else if (!("errno" in found)) entries.push(found);
      else if (!gone.has(errnoName(found.errno))) throw this.#refused(found.errno, found.name);
    }
    this.#asked.shift();
    return there ? entries.sort((a, b) => (a.name < b.name ? -1 : 1)) : undefined;
  }

  /** Asks for a file; its answer is `take`n later. `holes`: of a sparse one only what has data. */
  request(root: number, path: ByteString, { holes = false }: { readonly holes?: boolean } = {}): void {
    this.#send("tree-read", { root, path, holes: holes ? 1 : 0 }, path, holes);
  }

  /**
   * The answer to the request that was made first: the file as it was opened, and its bytes, which are to be read to
   * their end. Undefined if there is no file (any more).
   */
  async take(): Promise<TakenFile | undefined> {
    const frame = await this.#next();
    const entry = frame && this.#entryOf(frame);
    if (entry) {
      const extents = this.#asked[0]!.holes ? decodeExtents(await this.#next()) : undefined;
      return { entry, data: this.#data(), ...(extents ? { extents } : {}) };
    }
    await this.#end();
    return undefined;
  }

  async *#data(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const frame = await this.#next();
      if (frame === undefined) break;
      if (frame.type === replies.data) yield frame.payload;
    }
    this.#asked.shift();
  }

  #send<N extends LayerOperation>(
    name: N,
    operands: LayerOperands<N>,
    path: ByteString,
    holes = false,
  ): void {
    this.#signal?.throwIfAborted();
    this.#batch.clear();
    this.#batch.add(name, operands);
    this.#asked.push({ path, holes });
    const { socket } = this.#dialogue;
    // the batch is filled anew before the socket has sent this one
    if (socket.writable) socket.write(Buffer.from(this.#batch.frame()));
  }

  /** The next frame of the answer; undefined at its end. */
  async #next(): Promise<Frame | undefined> {
    if (this.#asked.length === 0) bug("an answer that nobody asked for");
    const frame = await this.#dialogue.next();
    this.#signal?.throwIfAborted();
    if (frame === undefined)
      throw new GantryError("unavailable", `${this.#what}: the executor ended without a report`);
    if (frame.type === replies.failed) throw this.#failure(frame.payload);
    return frame.type === replies.done ? undefined : frame;
  }

  async #end(): Promise<void> {
    while ((await this.#next()) !== undefined);
    this.#asked.shift();
  }

  #entryOf(frame: Frame): TreeEntry | undefined {
    const found = decodeTreeEntry(frame.payload);
    if (!("errno" in found)) return found;
    if (gone.has(errnoName(found.errno))) return undefined;
    throw this.#refused(found.errno, this.#asked[0]!.path);
  }

  #refused(errno: number, path: ByteString): GantryError {
    const name = errnoName(errno);
    const shown = JSON.stringify(textOfByteString(path).slice(0, 300));
    return new GantryError(codeOf[name] ?? "internal", `${this.#what}: ${shown}: ${errnoWords(errno)}`, {
      detail: { errno: name, path: textOfByteString(path) },
    });
  }

  #failure(payload: Uint8Array): GantryError {
    const { errno, detail } = decodeFailure(payload);
    const name = errnoName(errno);
    return new GantryError(codeOf[name] ?? "internal", `${this.#what}: ${detail}: ${errnoWords(errno)}`, {
      detail: { errno: name, path: detail },
    });
  }

  /** Resolves when the executor, and with it every mount of a view, is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#abort);
    if (this.#dialogue.pid !== undefined) {
      const exited = this.#dialogue.exited();
      this.#dialogue.socket.destroy();
      await exited;
    }
    this.#dialogue.close();
  }
}
