/** One blob on its way into a disk store: a partial file, its running digest, and its publication. */
import type { FileHandle } from "node:fs/promises";
import { mkdir, rename, unlink } from "node:fs/promises";
import { bug, errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { faultPoint } from "../base/fault.ts";
import { type Digest, Digester, digestAlgorithm } from "../spec/digest.ts";
import type { BlobInfo, ExpectedBlob, Ingest } from "./content-store.ts";
import { readRange, syncFolder } from "./disk-file.ts";
import { type DiskLayout, idleOwner } from "./disk-layout.ts";

/** Dirty pages are sent to the disk in steps of this size, so that commit does not wait for the whole blob. */
const flushBytes = 32 * 1024 * 1024;

export class DiskIngest implements Ingest {
  readonly #layout: DiskLayout;
  readonly #expected: ExpectedBlob | undefined;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #resumedAt: number;
  #digester: Digester;
  #offset: number;
  #flushedTo = 0;
  #flushing: Promise<unknown> | undefined;
  #flushError: unknown;
  #writing = false;
  #state: "open" | "committed" | "closed" = "open";

  constructor(
    layout: DiskLayout,
    file: FileHandle,
    path: string,
    offset: number,
    expected: ExpectedBlob | undefined,
  ) {
    this.#layout = layout;
    this.#file = file;
    this.#path = path;
    this.#offset = offset;
    this.#resumedAt = offset;
    this.#expected = expected;
    this.#digester = this.#newDigester();
  }

  #newDigester(): Digester {
    return new Digester(this.#expected ? digestAlgorithm(this.#expected.digest) : "sha256");
  }

  get #what(): string {
    return this.#expected ? `write blob "${this.#expected.digest}"` : "write blob";
  }

  get offset(): number {
    return this.#offset;
  }

  /** Hashes in passing while it is the first to read the resumed part. */
  async *readBack(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array, void, void> {
    const end = this.#offset;
    let position = 0;
    for await (const chunk of readRange(this.#file, 0, end, options.signal)) {
      if (this.#digester.sizeBytes === position && position < this.#resumedAt) this.#digester.update(chunk);
      position += chunk.length;
      yield chunk;
    }
    if (position !== end)
      throw new GantryError("data-loss", `${this.#what}: the partial file has lost its end`);
  }

  /** A reader may have hashed none, some or all of what an earlier process wrote: hash the rest. */
  async #hashResumed(): Promise<void> {
    while (this.#digester.sizeBytes < this.#resumedAt) {
      const before = this.#digester.sizeBytes;
      for await (const chunk of readRange(this.#file, before, this.#resumedAt)) this.#digester.update(chunk);
      if (this.#digester.sizeBytes === before)
        throw new GantryError("data-loss", `${this.#what}: the partial file has lost its end`);
    }
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#state !== "open" || this.#writing) bug("write to an ingest that is closed or busy");
    if (this.#expected && this.#offset + chunk.length > this.#expected.size) {
      await this.discard();
      throw new GantryError(
        "data-loss",
        `${this.#what}: more than the expected ${this.#expected.size} bytes`,
        { detail: { digest: this.#expected.digest, expectedBytes: this.#expected.size } },
      );
    }
    this.#writing = true;
    try {
      if (this.#offset > 0) faultPoint("ingest-half");
      if (this.#digester.sizeBytes < this.#resumedAt) await this.#hashResumed();
      // starts the write on the pool, and hashes while it runs
      const written = this.#writeAll(chunk);
      this.#digester.update(chunk);
      await written;
      this.#flushEarly();
    } catch (error) {
      // a full disk must not stay full of what cannot be completed
      await this.discard();
      throw wrapErrno(error, this.#what);
    } finally {
      this.#writing = false;
    }
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, this.#offset);
      done += bytesWritten;
      this.#offset += bytesWritten;
    }
  }

  #flushEarly(): void {
    if (this.#flushing || this.#offset - this.#flushedTo < flushBytes) return;
    this.#flushedTo = this.#offset;
    this.#flushing = this.#file.datasync().catch((error: unknown) => {
      // the kernel reports a lost write once: commit must not ask again and be told that all is well
      this.#flushError = error;
    });
    this.#flushing = this.#flushing.then(() => {
      this.#flushing = undefined;
    });
  }

  async commit(
    expected: { readonly digest: Digest; readonly size?: number } | undefined = this.#expected,
  ): Promise<BlobInfo> {
    if (this.#state !== "open" || this.#writing) bug("commit of an ingest that is closed or busy");
    try {
      await this.#hashResumed();
      if (expected && digestAlgorithm(expected.digest) !== this.#digester.algorithm)
        await this.#rehash(expected.digest);
      let digest: Digest;
      if (expected) {
        this.#digester.verify(expected, "blob");
        digest = expected.digest;
      } else digest = this.#digester.digest();
      await this.#publish(digest);
      return { digest, sizeBytes: this.#offset };
    } catch (error) {
      await this.discard();
      if (error instanceof GantryError && error.code === "data-loss" && this.#resumedAt > 0)
        throw new GantryError(error.code, error.message, {
          detail: { ...error.detail, resumedAt: this.#resumedAt },
          cause: error,
        });
      throw wrapErrno(error, this.#what);
    }
  }

  async #rehash(digest: Digest): Promise<void> {
    this.#digester = new Digester(digestAlgorithm(digest));
    for await (const chunk of readRange(this.#file, 0, this.#offset)) this.#digester.update(chunk);
  }

  /** Bytes first, then the name: a power cut in between leaves a partial file, never a wrong blob. */
  async #publish(digest: Digest): Promise<void> {
    await this.#flushing;
    if (this.#flushError !== undefined) throw this.#flushError;
    await this.#file.chmod(0o444);
    await this.#file.sync();
    faultPoint("ingest-flushed");
    const target = this.#layout.blob(digest);
    try {
      await rename(this.#path, target);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      await mkdir(this.#layout.blobFolder(digest), { recursive: true, mode: 0o700 });
      await syncFolder(this.#layout.blobs);
      await rename(this.#path, target);
    }
    this.#state = "committed";
    faultPoint("ingest-published");
    await syncFolder(this.#layout.blobFolder(digest));
    await this.#file.close();
  }

  async #close(): Promise<void> {
    this.#state = "closed";
    await this.#flushing;
    await this.#file.close();
  }

  async discard(): Promise<void> {
    if (this.#state !== "open") return;
    await this.#close();
    await unlink(this.#path).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "remove partial blob", this.#path);
    });
  }

  /** Keeps the partial file for the next ingest of the same digest; an unnamed one has no next. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== "open") return;
    if (this.#expected === undefined || this.#offset === 0) return await this.discard();
    await this.#close();
    await rename(this.#path, this.#layout.newName(this.#layout.ingest, this.#expected.digest, idleOwner));
  }
}
