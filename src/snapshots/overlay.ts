/** The snapshotter for the kernel's overlay file system, in directories. overlay-store.ts draws them. */
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { GantryError, wrapErrno } from "../base/error.ts";
import { faultPoint } from "../base/fault.ts";
import type { Digest } from "../spec/digest.ts";
import { inheritAttributes } from "./inherit.ts";
import { OverlayStore, type OverlayStoreOptions } from "./overlay-store.ts";
import { type RootLayer, readInRoot } from "./read-in-root.ts";
import type {
  LayerInfo,
  PrepareOptions,
  ReadFileOptions,
  RemoveLayerOptions,
  SnapshotInfo,
  SnapshotMounts,
  SnapshotOptions,
  Snapshotter,
  SnapshotUsage,
} from "./snapshotter.ts";
import type { LayerRecord, SnapshotRecord } from "./store-records.ts";

export type OverlayOptions = OverlayStoreOptions;

const notFound = (key: string) => new GantryError("not-found", `find snapshot "${key}": no such snapshot`);

export class OverlaySnapshotter implements Snapshotter {
  readonly #store: OverlayStore;

  constructor(options: OverlayOptions | OverlayStore) {
    this.#store = options instanceof OverlayStore ? options : new OverlayStore(options);
  }

  async prepare(key: string, options: PrepareOptions = {}): Promise<SnapshotMounts> {
    return await this.#make(key, "active", options);
  }

  async view(key: string, options: PrepareOptions = {}): Promise<SnapshotMounts> {
    return await this.#make(key, "view", options);
  }

  async #make(key: string, kind: "active" | "view", options: PrepareOptions): Promise<SnapshotMounts> {
    options.signal?.throwIfAborted();
    const store = this.#store;
    const directory = store.snapshotDirectory(key);
    const record: SnapshotRecord = {
      key,
      kind,
      createdAt: new Date().toISOString(),
      ...(options.parent === undefined ? {} : { parent: options.parent }),
    };
    const staged = store.stagingPath();
    try {
      mkdirSync(staged, 0o700);
      if (kind === "active") this.#makeUpper(staged);
      writeFileSync(`${staged}/snapshot.json`, JSON.stringify(record), { mode: 0o600 });
      faultPoint("snapshot-staged");
      if (!store.rename(staged, directory))
        throw new GantryError("already-exists", `prepare snapshot "${key}": the key is taken`);
    } catch (error) {
      // on a read-only disk even the removal of nothing fails
      if (existsSync(staged)) rmSync(staged, { recursive: true, force: true });
      options.signal?.throwIfAborted();
      throw wrapErrno(error, "prepare snapshot", key);
    }
    try {
      // the record is in place, so no layer of the chain goes from here on; one may have gone just before
      const chain = store.chain(options.parent);
      await inheritAttributes(store, chain);
      if (kind === "active" && chain[0]) this.#copyRootAttributes(directory, chain[0]);
      options.signal?.throwIfAborted();
      return this.#mountsOf(directory, record, chain);
    } catch (error) {
      await store.discard(directory);
      throw error;
    }
  }

  #makeUpper(directory: string): void {
    mkdirSync(`${directory}/fs`, 0o755);
    mkdirSync(`${directory}/work`, 0o700);
    // not left to the umask
    chmodSync(`${directory}/fs`, 0o755);
  }

  /** The root that a container sees has the attributes of the upper directory. */
  #copyRootAttributes(directory: string, top: LayerRecord): void {
    const from = statSync(`${this.#store.layerDirectory(top.chainId)}/fs`);
    if (from.uid !== process.geteuid?.() || from.gid !== process.getegid?.())
      chownSync(`${directory}/fs`, from.uid, from.gid);
    chmodSync(`${directory}/fs`, from.mode & 0o7777);
  }

  #mountsOf(directory: string, record: SnapshotRecord, chain: readonly LayerRecord[]): SnapshotMounts {
    const store = this.#store;
    const lower: string[] = [];
    for (const layer of chain) {
      lower.push(`${store.layerDirectory(layer.chainId)}/fs`);
      // overlay asks no mark of the root directories: what lies below is left out
      if (layer.opaque.includes("")) break;
    }
    if (lower.length === 0 || (record.kind === "view" && lower.length === 1)) lower.push(store.empty);
    return record.kind === "view"
      ? { kind: "overlay", lower: lower.length === 1 ? [...lower, lower[0]!] : lower }
      : { kind: "overlay", lower, upper: `${directory}/fs`, work: `${directory}/work` };
  }

  async mounts(key: string, _options: SnapshotOptions = {}): Promise<SnapshotMounts> {
    const record = this.#store.snapshot(key);
    if (!record) throw notFound(key);
    const chain = this.#store.chain(record.parent);
    // a layer may have been unpacked again since `prepare`
    await inheritAttributes(this.#store, chain);
    return this.#mountsOf(this.#store.snapshotDirectory(key), record, chain);
  }

  async commit(key: string, chainId: Digest, options: SnapshotOptions = {}): Promise<void> {
    const store = this.#store;
    const record = store.snapshot(key);
    if (!record) throw notFound(key);
    if (record.kind === "view")
      throw new GantryError("failed-precondition", `commit snapshot "${key}": a view takes no writes`);
    const directory = store.snapshotDirectory(key);
    const { diskUsage } = await import("./disk-usage.ts");
    const usage = await diskUsage(`${directory}/fs`, options);
    options.signal?.throwIfAborted();
    const aside = store.stagingPath();
    if (!store.rename(directory, aside)) throw notFound(key);
    const layer: LayerRecord = {
      chainId,
      ...(record.parent === undefined ? {} : { parentChainId: record.parent }),
      createdAt: new Date().toISOString(),
      bootId: store.bootId,
      entries: usage.inodes,
      sizeBytes: usage.sizeBytes,
      opaque: [],
      implied: [],
    };
    try {
      writeFileSync(`${aside}/layer.json`, JSON.stringify(layer), { mode: 0o600 });
      rmSync(`${aside}/snapshot.json`);
      rmSync(`${aside}/work`, { recursive: true, force: true });
      await publishLayer(store, aside, chainId);
    } catch (error) {
      await store.removeStaged(aside);
      throw wrapErrno(error, "commit snapshot", key);
    }
  }

  async remove(key: string, options: SnapshotOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const directory = this.#store.snapshotDirectory(key);
    if (!(await this.#store.discard(directory))) throw notFound(key);
  }

  async stat(key: string, _options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    const record = this.#store.snapshot(key);
    if (!record) throw notFound(key);
    return record;
  }

  async list(_options: SnapshotOptions = {}): Promise<readonly SnapshotInfo[]> {
    return [...this.#store.allSnapshots()];
  }

  async usage(key: string, options: SnapshotOptions = {}): Promise<SnapshotUsage> {
    const record = this.#store.snapshot(key);
    if (!record) throw notFound(key);
    if (record.kind === "view") return { sizeBytes: 0, inodes: 0 };
    const { diskUsage } = await import("./disk-usage.ts");
    return await diskUsage(`${this.#store.snapshotDirectory(key)}/fs`, options);
  }

  async readFile(key: string, path: string, options: ReadFileOptions = {}): Promise<Uint8Array | undefined> {
    const store = this.#store;
    const record = store.snapshot(key);
    if (!record) throw notFound(key);
    const layers: RootLayer[] = store.chain(record.parent).map((layer) => ({
      directory: `${store.layerDirectory(layer.chainId)}/fs`,
      opaque: new Set(layer.opaque),
    }));
    if (record.kind === "active")
      layers.unshift({ directory: `${store.snapshotDirectory(key)}/fs`, opaque: new Set() });
    return readInRoot(layers, path, options.limitBytes);
  }

  async hasLayer(chainId: Digest, _options: SnapshotOptions = {}): Promise<boolean> {
    return this.#store.layer(chainId) !== undefined;
  }

  async statLayer(chainId: Digest, _options: SnapshotOptions = {}): Promise<LayerInfo> {
    const record = this.#store.layer(chainId);
    if (!record) throw new GantryError("not-found", `find layer "${chainId}": it is not unpacked here`);
    return layerInfo(record);
  }

  async listLayers(_options: SnapshotOptions = {}): Promise<readonly LayerInfo[]> {
    return [...this.#store.allLayers()].map(layerInfo);
  }

  async removeLayer(chainId: Digest, options: RemoveLayerOptions = {}): Promise<boolean> {
    const store = this.#store;
    options.signal?.throwIfAborted();
    const directory = store.layerDirectory(chainId);
    const hidden = store.stagingPath(`hidden.${directory.slice(store.layers.length + 1)}.`);
    if (!store.rename(directory, hidden)) return false;
    let keep = true;
    try {
      const user = userOf(store, chainId);
      if (user)
        throw new GantryError("failed-precondition", `remove layer "${chainId}": ${user} lies on it`, {
          detail: { chainId },
        });
      faultPoint("layer-hidden");
      keep = (await options.unless?.()) ?? false;
    } finally {
      // if somebody has unpacked it again meanwhile, ours is the one to go
      if (keep && !store.rename(hidden, directory)) await store.removeStaged(hidden);
    }
    if (keep) return false;
    await store.removeStaged(hidden);
    return true;
  }
}

/** What lies on a layer, in words; undefined if nothing does. */
function userOf(store: OverlayStore, chainId: Digest): string | undefined {
  for (const layer of store.allLayers())
    if (layer.parentChainId === chainId) return `layer "${layer.chainId}"`;
  for (const snapshot of store.allSnapshots())
    if (snapshot.parent === chainId) return `snapshot "${snapshot.key}"`;
  return undefined;
}

/** Moves a finished layer into its place; drops it if there is one that can be relied on. */
export async function publishLayer(store: OverlayStore, staged: string, chainId: Digest): Promise<void> {
  const directory = store.layerDirectory(chainId);
  for (let tries = 0; tries < 10; tries++) {
    if (store.rename(staged, directory)) return;
    if (store.layer(chainId)) {
      await store.removeStaged(staged);
      return;
    }
    // of another boot, or cut short: out of the way
    if (!existsSync(staged)) break;
    await store.discard(directory);
  }
  throw new GantryError("internal", `publish layer "${chainId}": its place does not become free`);
}

function layerInfo(record: LayerRecord): LayerInfo {
  return {
    chainId: record.chainId,
    ...(record.parentChainId === undefined ? {} : { parentChainId: record.parentChainId }),
    ...(record.diffId === undefined ? {} : { diffId: record.diffId }),
    usage: { sizeBytes: record.sizeBytes, inodes: record.entries },
    createdAt: record.createdAt,
  };
}
