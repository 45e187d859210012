/**
 * Seam between pulling and unpacking: where layers become directories. src/snapshots has the real one.
 */
import type { Digest } from "../spec/digest.ts";

export interface ApplyLayerRequest {
  /** Names the layer together with all below it. */
  readonly chainId: Digest;
  /** The chainID below, absent for the lowest layer. It may still be in the making. */
  readonly parentChainId?: Digest;
  readonly diffId: Digest;
  /**
   * The uncompressed tar, to be read once, to its end. It throws data-loss at its very end if the
   * bytes do not have `diffId`; then nothing of the layer may stay.
   */
  readonly tar: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

/**
 * The promise: after `apply` fulfils, the layer is there for good, and `has` is true in every process;
 * when it rejects, nothing is left. Layers of one image may be applied at the same time and in any
 * order. Applying a layer that is there already reads the tar to its end, or fulfils at once.
 */
export interface LayerApplier {
  has(chainId: Digest): Promise<boolean>;
  apply(request: ApplyLayerRequest): Promise<void>;
}

/** What garbage collection asks of whoever keeps unpacked layers. */
export interface LayerCollector {
  list(): Promise<readonly Digest[]>;
  /** Removes a layer in the two steps described at ContentStore.remove. */
  remove(
    chainId: Digest,
    options: { readonly unless: () => Promise<boolean>; readonly signal?: AbortSignal },
  ): Promise<boolean>;
}
