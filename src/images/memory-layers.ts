/** Layers that are only remembered: for tests, and for pulls that need no root file system. */
import type { Digest } from "../spec/digest.ts";
import type { ApplyLayerRequest, LayerApplier, LayerCollector } from "./layer-applier.ts";

export interface RememberedLayer {
  readonly parentChainId: Digest | undefined;
  readonly diffId: Digest;
  readonly tarBytes: number;
}

export class MemoryLayers implements LayerApplier, LayerCollector {
  readonly layers = new Map<Digest, RememberedLayer>();

  async has(chainId: Digest): Promise<boolean> {
    return this.layers.has(chainId);
  }

  async apply({ chainId, parentChainId, diffId, tar, signal }: ApplyLayerRequest): Promise<void> {
    let tarBytes = 0;
    for await (const chunk of tar) {
      signal?.throwIfAborted();
      tarBytes += chunk.length;
    }
    this.layers.set(chainId, { parentChainId, diffId, tarBytes });
  }

  async list(): Promise<readonly Digest[]> {
    return [...this.layers.keys()];
  }

  async remove(chainId: Digest, options: { readonly unless: () => Promise<boolean> }): Promise<boolean> {
    const layer = this.layers.get(chainId);
    if (!layer) return false;
    this.layers.delete(chainId);
    let keep = true;
    try {
      keep = await options.unless();
    } finally {
      if (keep) this.layers.set(chainId, layer);
    }
    return !keep;
  }
}
