/**
 * Seam of layer file systems: who gives a container its root, made of the unpacked layers of an image.
 *
 * Words: a *layer* is committed and never changes; it is named by its chainID, which stands for all
 * layers below it too. A *snapshot* lies on a layer (or on nothing) and is named by a key that the
 * caller chooses: an *active* one takes writes, a *view* does not.
 *
 *                 apply (LayerApplier)            prepare / view
 *     layer tar -----------------------> layer  -----------------> snapshot --- remove ---> gone
 *                                          ^                           |
 *                                          +---------- commit ---------+  (active only)
 *
 * The promise, for every implementation:
 * - Every act is one step for others: they see all of it or nothing, whenever a process is killed.
 * - Several processes may use one store at once. Of two that make the same key or layer, one wins;
 *   the other gets already-exists for a snapshot, and success for a layer.
 * - `prepare` and `view` of a key that exists fail with already-exists; a parent that is not there
 *   fails with not-found. A prepared snapshot keeps its layers from being removed.
 * - `commit` of a key that does not exist fails with not-found, of a view with failed-precondition.
 *   Afterwards the key is gone; if the layer existed already, what was in the snapshot is dropped.
 * - `remove` of a snapshot that does not exist is not-found. Nothing is mounted by a snapshotter, so
 *   whoever mounted what `mounts` describes must have ended before.
 * - A snapshotter holds no resource between calls: there is nothing to close.
 */
import type { Digest } from "../spec/digest.ts";

/** How to make the root: layer directories, top first, and for an active snapshot where writes go. */
export interface SnapshotMounts {
  readonly kind: "overlay";
  /** Never empty, and at least two for a view: the kernel asks for that. */
  readonly lower: readonly string[];
  readonly upper?: string;
  readonly work?: string;
}

export interface SnapshotUsage {
  /** Bytes on disk. */
  readonly sizeBytes: number;
  readonly inodes: number;
}

export interface SnapshotInfo {
  readonly key: string;
  readonly kind: "active" | "view";
  readonly parent?: Digest;
  /** RFC 3339. */
  readonly createdAt: string;
}

export interface LayerInfo {
  readonly chainId: Digest;
  readonly parentChainId?: Digest;
  readonly diffId?: Digest;
  readonly usage: SnapshotUsage;
  readonly createdAt: string;
}

export interface SnapshotOptions {
  readonly signal?: AbortSignal;
}

export interface PrepareOptions extends SnapshotOptions {
  /** The top layer; absent for an empty root. */
  readonly parent?: Digest;
}

export interface RemoveLayerOptions extends SnapshotOptions {
  /** Asked after the layer has been hidden; true puts it back. */
  readonly unless?: () => boolean | Promise<boolean>;
}

export interface ReadFileOptions extends SnapshotOptions {
  /** Longest file that is read; resource-exhausted above (default 1 MiB). */
  readonly limitBytes?: number;
}

export interface Snapshotter {
  prepare(key: string, options?: PrepareOptions): Promise<SnapshotMounts>;
  view(key: string, options?: PrepareOptions): Promise<SnapshotMounts>;
  mounts(key: string, options?: SnapshotOptions): Promise<SnapshotMounts>;
  /** Makes a layer of what is in an active snapshot. Nobody may write to it any more. */
  commit(key: string, chainId: Digest, options?: SnapshotOptions): Promise<void>;
  remove(key: string, options?: SnapshotOptions): Promise<void>;
  stat(key: string, options?: SnapshotOptions): Promise<SnapshotInfo>;
  list(options?: SnapshotOptions): Promise<readonly SnapshotInfo[]>;
  /** What the snapshot holds by itself, its layers not counted. */
  usage(key: string, options?: SnapshotOptions): Promise<SnapshotUsage>;
  /**
   * The bytes of a regular file of the root, as a process in it would find them: upper directory
   * first, whiteouts and opaque directories honoured, symlinks followed inside the root only.
   * Undefined if nothing is there.
   */
  readFile(key: string, path: string, options?: ReadFileOptions): Promise<Uint8Array | undefined>;

  /** Whether the layer is there, whole. */
  hasLayer(chainId: Digest, options?: SnapshotOptions): Promise<boolean>;
  statLayer(chainId: Digest, options?: SnapshotOptions): Promise<LayerInfo>;
  listLayers(options?: SnapshotOptions): Promise<readonly LayerInfo[]>;
  /**
   * Removes a layer; false if it is not there, or if `unless` said so. failed-precondition while a
   * snapshot or another layer lies on it.
   */
  removeLayer(chainId: Digest, options?: RemoveLayerOptions): Promise<boolean>;
}
