/** The content store in memory: for tests, and for registries that need not outlive their process. */
import { bug, GantryError } from "../base/error.ts";
import { type Digest, Digester, digestAlgorithm } from "../spec/digest.ts";
import type { BlobInfo, ContentStore, ExpectedBlob, Ingest } from "./content-store.ts";
import { readAllOf } from "./read-all.ts";

export class MemoryContentStore implements ContentStore {
  readonly #blobs = new Map<Digest, readonly Uint8Array[]>();
  readonly #partials = new Map<Digest, Uint8Array[]>();

  async info(digest: Digest, options: { readonly signal?: AbortSignal } = {}): Promise<BlobInfo | undefined> {
    options.signal?.throwIfAborted();
    const chunks = this.#blobs.get(digest);
    return chunks && { digest, sizeBytes: lengthOf(chunks) };
  }

  async *read(
    digest: Digest,
    options: { readonly offset?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const chunks = this.#blobs.get(digest);
    if (!chunks)
      throw new GantryError("not-found", `read blob "${digest}": no such blob`, { detail: { digest } });
    let skip = options.offset ?? 0;
    for (const chunk of chunks) {
      options.signal?.throwIfAborted();
      // a copy: what a caller does to it must not change the blob
      if (skip < chunk.length) yield chunk.slice(skip);
      skip = Math.max(0, skip - chunk.length);
    }
  }

  async readAll(
    digest: Digest,
    options: { readonly limitBytes?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Uint8Array> {
    return await readAllOf(this, digest, options);
  }

  async ingest(expected: ExpectedBlob, options: { readonly signal?: AbortSignal } = {}): Promise<Ingest> {
    options.signal?.throwIfAborted();
    if (this.#blobs.has(expected.digest))
      throw new GantryError("already-exists", `write blob "${expected.digest}": it is already there`, {
        detail: { digest: expected.digest },
      });
    const chunks = this.#partials.get(expected.digest) ?? [];
    this.#partials.delete(expected.digest);
    return new MemoryIngest(this.#blobs, this.#partials, chunks, expected);
  }

  async ingestUnnamed(options: { readonly signal?: AbortSignal } = {}): Promise<Ingest> {
    options.signal?.throwIfAborted();
    return new MemoryIngest(this.#blobs, this.#partials, [], undefined);
  }

  async remove(
    digest: Digest,
    options: { readonly unless?: () => boolean | Promise<boolean> } = {},
  ): Promise<boolean> {
    const chunks = this.#blobs.get(digest);
    if (!chunks) return false;
    this.#blobs.delete(digest);
    let keep = options.unless !== undefined;
    try {
      if (options.unless) keep = await options.unless();
    } finally {
      if (keep) this.#blobs.set(digest, chunks);
    }
    return !keep;
  }

  async *list(): AsyncGenerator<BlobInfo, void, void> {
    for (const [digest, chunks] of [...this.#blobs]) yield { digest, sizeBytes: lengthOf(chunks) };
  }

  /** Age is not kept here: every partial that nobody writes goes. */
  async sweep(options: { readonly maxAgeMs?: number } = {}): Promise<number> {
    if (options.maxAgeMs !== undefined && options.maxAgeMs > 0) return 0;
    let freed = 0;
    for (const chunks of this.#partials.values()) freed += lengthOf(chunks);
    this.#partials.clear();
    return freed;
  }
}

function lengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

class MemoryIngest implements Ingest {
  readonly #blobs: Map<Digest, readonly Uint8Array[]>;
  readonly #partials: Map<Digest, Uint8Array[]>;
  readonly #expected: ExpectedBlob | undefined;
  readonly #chunks: Uint8Array[];
  #open = true;

  constructor(
    blobs: Map<Digest, readonly Uint8Array[]>,
    partials: Map<Digest, Uint8Array[]>,
    chunks: Uint8Array[],
    expected: ExpectedBlob | undefined,
  ) {
    this.#blobs = blobs;
    this.#partials = partials;
    this.#chunks = chunks;
    this.#expected = expected;
  }

  get offset(): number {
    return lengthOf(this.#chunks);
  }

  async *readBack(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array, void, void> {
    for (const chunk of [...this.#chunks]) {
      options.signal?.throwIfAborted();
      yield chunk.slice();
    }
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (!this.#open) bug("write to an ingest that is closed");
    if (this.#expected && this.offset + chunk.length > this.#expected.size) {
      await this.discard();
      throw new GantryError(
        "data-loss",
        `write blob "${this.#expected.digest}": more than the expected ${this.#expected.size} bytes`,
        { detail: { digest: this.#expected.digest, expectedBytes: this.#expected.size } },
      );
    }
    this.#chunks.push(chunk.slice());
  }

  async commit(
    expected: { readonly digest: Digest; readonly size?: number } | undefined = this.#expected,
  ): Promise<BlobInfo> {
    if (!this.#open) bug("commit of an ingest that is closed");
    const digester = new Digester(expected ? digestAlgorithm(expected.digest) : "sha256");
    for (const chunk of this.#chunks) digester.update(chunk);
    this.#open = false;
    if (expected) digester.verify(expected, "blob");
    const digest = expected ? expected.digest : digester.digest();
    this.#blobs.set(digest, this.#chunks);
    return { digest, sizeBytes: digester.sizeBytes };
  }

  async discard(): Promise<void> {
    this.#open = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    if (this.#expected && this.offset > 0) this.#partials.set(this.#expected.digest, this.#chunks);
  }
}
