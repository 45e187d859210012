/**
 * Garbage collection: removes blobs and layers that no image, no lease and nobody else holds. Safe
 * beside running pulls without stopping them: see ContentStore.remove for the order of claims and
 * looks. One collection runs at a time.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isGantryError, wrapErrno } from "../base/error.ts";
import { tryLockFile } from "../base/lock.ts";
import type { ContentStore } from "../content/content-store.ts";
import { chainIdsOf } from "../spec/chain-id.ts";
import type { Digest } from "../spec/digest.ts";
import { diffIdsOf } from "../spec/image-config.ts";
import { readImageDocuments } from "./image.ts";
import type { ImageStore } from "./image-store.ts";
import type { LayerCollector } from "./layer-applier.ts";
import type { Leases } from "./leases.ts";

export interface GarbageDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly leases: Leases;
  readonly layers?: LayerCollector;
  /** Digests and chainIDs that others need, such as the layers below containers; asked again before each removal. */
  readonly held?: () => Promise<Iterable<Digest>>;
  /** Folder for the lock. */
  readonly lockFolder: string;
}

export interface Garbage {
  readonly blobs: readonly Digest[];
  readonly layers: readonly Digest[];
  /** Bytes of blobs and of partial downloads. */
  readonly freedBytes: number;
  /** True when another process is collecting; then nothing was done. */
  readonly busy: boolean;
}

/** What each manifest needs never changes, so it is read once. */
class Roots {
  readonly #deps: GarbageDeps;
  readonly #needs = new Map<Digest, readonly Digest[]>();

  constructor(deps: GarbageDeps) {
    this.#deps = deps;
  }

  async now(signal: AbortSignal | undefined): Promise<ReadonlySet<Digest>> {
    const result = new Set(this.#deps.leases.claimed());
    for (const held of (await this.#deps.held?.()) ?? []) result.add(held);
    for (const { target, manifest, config } of this.#deps.images.list()) {
      for (const { digest } of [target, manifest, config]) result.add(digest);
      let needs = this.#needs.get(manifest.digest);
      if (!needs) {
        try {
          const documents = await readImageDocuments(this.#deps.content, manifest, signal ? { signal } : {});
          needs = [
            ...documents.manifest.layers.map((layer) => layer.digest),
            ...(await chainIdsOf(diffIdsOf(documents.imageConfig))),
          ];
          this.#needs.set(manifest.digest, needs);
        } catch (error) {
          // an image whose documents are lost holds nothing more; pulling it again brings all back
          if (!isGantryError(error, "not-found") && !isGantryError(error, "data-loss")) throw error;
        }
      }
      for (const digest of needs ?? []) result.add(digest);
    }
    return result;
  }
}

/** Only one collection at a time: a second one would take what the first hides for a moment as lost. */
function tryLock(folder: string): Disposable | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw wrapErrno(error, "lock for garbage collection", folder);
  }
  return tryLockFile(join(folder, "collecting"));
}

export async function collectGarbage(
  deps: GarbageDeps,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Garbage> {
  const { signal } = options;
  signal?.throwIfAborted();
  using lock = tryLock(deps.lockFolder);
  if (!lock) return { blobs: [], layers: [], freedBytes: 0, busy: true };
  const roots = new Roots(deps);
  const blobs: Digest[] = [];
  const layers: Digest[] = [];
  let freedBytes = await deps.content.sweep(options);
  const needed = await roots.now(signal);
  for (const chainId of (await deps.layers?.list()) ?? []) {
    if (needed.has(chainId)) continue;
    const unless = async () => (await roots.now(signal)).has(chainId);
    if (await deps.layers?.remove(chainId, { unless, ...options })) layers.push(chainId);
  }
  for await (const { digest, sizeBytes } of deps.content.list(options)) {
    if (needed.has(digest)) continue;
    const unless = async () => (await roots.now(signal)).has(digest);
    if (!(await deps.content.remove(digest, { unless, ...options }))) continue;
    blobs.push(digest);
    freedBytes += sizeBytes;
  }
  return { blobs, layers, freedBytes, busy: false };
}
