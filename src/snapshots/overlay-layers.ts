/**
 * Where pulled layers become directories of the overlay store: the real LayerApplier and
 * LayerCollector of src/images (which ranks above, so nothing of it is named here).
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { GantryError, wrapErrno } from "../base/error.ts";
import { faultPoint } from "../base/fault.ts";
import type { Digest } from "../spec/digest.ts";
import { byteStringOf } from "../wire/tar-format.ts";
import { LayerSession } from "./layer-session.ts";
import { OverlaySnapshotter, publishLayer } from "./overlay.ts";
import { OverlayStore, type OverlayStoreOptions } from "./overlay-store.ts";
import { Spool } from "./spool.ts";
import type { LayerRecord } from "./store-records.ts";
import { type UnpackLimits, unpackLayer } from "./unpack.ts";

export interface ApplyOverlayLayer {
  readonly chainId: Digest;
  readonly parentChainId?: Digest;
  readonly diffId: Digest;
  readonly tar: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

export interface OverlayLayersOptions extends OverlayStoreOptions {
  readonly limits?: Partial<UnpackLimits>;
}

/** Layers that one step of `settle` carries. */
const namesPerStep = 200;

export class OverlayLayers implements AsyncDisposable {
  readonly #store: OverlayStore;
  readonly #limits: Partial<UnpackLimits>;
  #swept: Promise<void> | undefined;

  constructor(options: OverlayLayersOptions) {
    this.#store = new OverlayStore(options);
    this.#limits = options.limits ?? {};
  }

  async has(chainId: Digest): Promise<boolean> {
    return this.#store.layer(chainId) !== undefined;
  }

  /**
   * Unpacks a layer beside the others, whatever lies below it. When it rejects, nothing of it is
   * left; a layer that is there already fulfils at once.
   */
  async apply(request: ApplyOverlayLayer): Promise<void> {
    const { chainId, parentChainId, diffId, tar, signal } = request;
    signal?.throwIfAborted();
    const store = this.#store;
    if (store.layer(chainId)) return;
    await this.#sweepOnce();
    const staged = store.stagingPath();
    try {
      mkdirSync(staged, 0o700);
      mkdirSync(`${staged}/fs`, 0o755);
      chmodSync(`${staged}/fs`, 0o755);
      const { entries, sizeBytes, opaque, implied } = await this.#unpack(request, `${staged}/fs`, tar);
      const record: LayerRecord = {
        chainId,
        ...(parentChainId === undefined ? {} : { parentChainId }),
        diffId,
        createdAt: new Date().toISOString(),
        bootId: store.bootId,
        entries,
        sizeBytes,
        opaque,
        implied: parentChainId === undefined ? [] : implied,
      };
      writeFileSync(`${staged}/layer.json`, JSON.stringify(record), { mode: 0o600 });
      faultPoint("layer-staged");
      signal?.throwIfAborted();
      await publishLayer(store, staged, chainId);
    } catch (error) {
      await store.removeStaged(staged);
      signal?.throwIfAborted();
      throw wrapErrno(error, "apply layer", chainId);
    }
  }

  async #unpack(request: ApplyOverlayLayer, root: string, tar: AsyncIterable<Uint8Array>) {
    const { signal, diffId } = request;
    const spool = new Spool(this.#store.staging);
    await using session = new LayerSession(this.#store.executor(), `apply layer ${diffId}`, spool);
    const abort = () => session.fail(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      return await unpackLayer(session, root, tar, {
        limits: this.#limits,
        unprivileged: this.#store.unprivileged,
        ...(signal ? { signal } : {}),
      });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Chain IDs of all layers, those first on which no other lies: an order to remove them in. */
  async list(): Promise<readonly Digest[]> {
    const layers = new Map([...this.#store.allLayers()].map((layer) => [layer.chainId, layer] as const));
    const depthOf = (layer: LayerRecord): number => {
      let depth = 0;
      for (let at: LayerRecord | undefined = layer; at?.parentChainId; at = layers.get(at.parentChainId))
        depth++;
      return depth;
    };
    return [...layers.values()]
      .map((layer) => ({ chainId: layer.chainId, depth: depthOf(layer) }))
      .sort((a, b) => b.depth - a.depth)
      .map(({ chainId }) => chainId);
  }

  /** Removes a layer unless something lies on it or `unless` says true; false if it stayed or was not there. */
  async remove(
    chainId: Digest,
    options: { readonly unless: () => Promise<boolean>; readonly signal?: AbortSignal },
  ): Promise<boolean> {
    await this.#sweepOnce();
    try {
      return await new OverlaySnapshotter(this.#store).removeLayer(chainId, options);
    } catch (error) {
      if (error instanceof GantryError && error.code === "failed-precondition") return false;
      throw error;
    }
  }

  /** Removes what dead processes and power cuts left. */
  async sweep(): Promise<void> {
    await this.#store.sweep();
  }

  /** Whoever changes layers clears up first. */
  #sweepOnce(): Promise<void> {
    this.#swept ??= this.#store.sweep();
    return this.#swept;
  }

  #settleSession(): LayerSession | undefined {
    const names = [...this.#store.unsettled()].map(byteStringOf);
    if (names.length === 0) return undefined;
    const session = new LayerSession(this.#store.executor(), "settle layers");
    for (let at = 0; at < names.length; at += namesPerStep)
      session.add("layer-settle", {
        dir: byteStringOf(this.#store.layers),
        names: names.slice(at, at + namesPerStep),
        mark: byteStringOf("synced"),
      });
    return session;
  }

  /** Makes the layers of this boot proof against a power cut. Takes as long as the disk needs. */
  async settle(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await using session = this.#settleSession();
    const abort = () => session?.fail(options.signal?.reason);
    options.signal?.addEventListener("abort", abort, { once: true });
    try {
      await session?.finish();
    } finally {
      options.signal?.removeEventListener("abort", abort);
    }
  }

  /** Leaves the settling of what is not settled yet to an executor that outlives this program. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#settleSession()?.release();
  }
}
