/** The content store and the unpacking of layers, with every byte taken from a budget before it is written. */
import type { BlobInfo, ContentStore, ExpectedBlob, Ingest } from "../../content/content-store.ts";
import type { ApplyLayerRequest, LayerApplier } from "../../images/layer-applier.ts";
import type { Digest } from "../../spec/digest.ts";
import type { DiskBudget } from "./disk-limit.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

export class LimitedContent implements ContentStore {
  readonly #content: ContentStore;
  readonly #budget: DiskBudget;

  constructor(content: ContentStore, budget: DiskBudget) {
    this.#content = content;
    this.#budget = budget;
  }

  info(digest: Digest, options?: Cancellable): Promise<BlobInfo | undefined> {
    return this.#content.info(digest, options);
  }

  read(digest: Digest, options?: Cancellable & { readonly offset?: number }): AsyncIterable<Uint8Array> {
    return this.#content.read(digest, options);
  }

  readAll(digest: Digest, options?: Cancellable & { readonly limitBytes?: number }): Promise<Uint8Array> {
    return this.#content.readAll(digest, options);
  }

  /** What cannot fit is refused before its first byte is fetched. */
  async ingest(expected: ExpectedBlob, options: Cancellable = {}): Promise<Ingest> {
    const ingest = await this.#content.ingest(expected, options);
    try {
      await this.#budget.expect(expected.size - ingest.offset, options);
    } catch (error) {
      await ingest.discard();
      throw error;
    }
    return new LimitedIngest(ingest, this.#budget);
  }

  async ingestUnnamed(options: Cancellable = {}): Promise<Ingest> {
    return new LimitedIngest(await this.#content.ingestUnnamed(options), this.#budget);
  }

  remove(digest: Digest, options?: Parameters<ContentStore["remove"]>[1]): Promise<boolean> {
    return this.#content.remove(digest, options);
  }

  list(options?: Cancellable): AsyncIterable<BlobInfo> {
    return this.#content.list(options);
  }

  sweep(options?: Parameters<ContentStore["sweep"]>[0]): Promise<number> {
    return this.#content.sweep(options);
  }
}

class LimitedIngest implements Ingest {
  readonly #ingest: Ingest;
  readonly #budget: DiskBudget;

  constructor(ingest: Ingest, budget: DiskBudget) {
    this.#ingest = ingest;
    this.#budget = budget;
  }

  get offset(): number {
    return this.#ingest.offset;
  }

  readBack(options?: Cancellable): AsyncIterable<Uint8Array> {
    return this.#ingest.readBack(options);
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#budget.take(chunk.length);
    await this.#ingest.write(chunk);
  }

  commit(expected?: { readonly digest: Digest; readonly size?: number }): Promise<BlobInfo> {
    return this.#ingest.commit(expected);
  }

  discard(): Promise<void> {
    return this.#ingest.discard();
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#ingest[Symbol.asyncDispose]();
  }
}

/** A tar is about as long as what is unpacked of it. */
export class LimitedLayers implements LayerApplier {
  readonly #layers: LayerApplier;
  readonly #budget: DiskBudget;

  constructor(layers: LayerApplier, budget: DiskBudget) {
    this.#layers = layers;
    this.#budget = budget;
  }

  has(chainId: Digest): Promise<boolean> {
    return this.#layers.has(chainId);
  }

  apply(request: ApplyLayerRequest): Promise<void> {
    return this.#layers.apply({ ...request, tar: this.#metered(request.tar) });
  }

  async *#metered(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of tar) {
      await this.#budget.take(chunk.length);
      yield chunk;
    }
  }
}
