/** Snapshots that are only remembered: for tests of what stands above. Roots are maps of path to bytes. */
import { GantryError } from "../base/error.ts";
import type { Digest } from "../spec/digest.ts";
import { checkKey } from "./overlay-store.ts";
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

type Files = Map<string, Uint8Array>;

interface MemoryLayer {
  readonly info: LayerInfo;
  readonly files: Files;
}

interface MemorySnapshot {
  readonly info: SnapshotInfo;
  readonly files: Files;
}

const normal = (path: string) => path.split("/").filter(Boolean).join("/");

export class MemorySnapshotter implements Snapshotter {
  readonly #layers = new Map<Digest, MemoryLayer>();
  readonly #snapshots = new Map<string, MemorySnapshot>();

  /** Puts a layer in place, as an applier would. */
  addLayer(
    chainId: Digest,
    parentChainId: Digest | undefined,
    files: Readonly<Record<string, string>>,
  ): void {
    this.#layers.set(chainId, {
      info: {
        chainId,
        ...(parentChainId === undefined ? {} : { parentChainId }),
        usage: usageOf(new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]))),
        createdAt: new Date(0).toISOString(),
      },
      files: new Map(Object.entries(files).map(([path, text]) => [normal(path), Buffer.from(text)])),
    });
  }

  /** Writes into an active snapshot, as a container would. */
  write(key: string, path: string, data: Uint8Array): void {
    this.#find(key).files.set(normal(path), data);
  }

  #find(key: string): MemorySnapshot {
    checkKey(key);
    const snapshot = this.#snapshots.get(key);
    if (!snapshot) throw new GantryError("not-found", `find snapshot "${key}": no such snapshot`);
    return snapshot;
  }

  #chain(top: Digest | undefined): readonly MemoryLayer[] {
    const chain: MemoryLayer[] = [];
    for (let chainId = top; chainId !== undefined; chainId = chain.at(-1)?.info.parentChainId) {
      const layer = this.#layers.get(chainId);
      if (!layer) throw new GantryError("not-found", `find layer "${chainId}": it is not unpacked here`);
      chain.push(layer);
    }
    return chain;
  }

  #make(key: string, kind: "active" | "view", { parent, signal }: PrepareOptions): SnapshotMounts {
    signal?.throwIfAborted();
    checkKey(key);
    this.#chain(parent);
    if (this.#snapshots.has(key))
      throw new GantryError("already-exists", `prepare snapshot "${key}": the key is taken`);
    const info: SnapshotInfo = {
      key,
      kind,
      createdAt: new Date().toISOString(),
      ...(parent === undefined ? {} : { parent }),
    };
    this.#snapshots.set(key, { info, files: new Map() });
    return this.#mountsOf(info);
  }

  #mountsOf(info: SnapshotInfo): SnapshotMounts {
    const lower = this.#chain(info.parent).map((layer) => `/memory/${layer.info.chainId}`);
    if (lower.length === 0) lower.push("/memory/empty");
    if (info.kind === "active")
      return { kind: "overlay", lower, upper: `/memory/${info.key}/fs`, work: `/memory/${info.key}/work` };
    return { kind: "overlay", lower: lower.length > 1 ? lower : [...lower, "/memory/empty"] };
  }

  async prepare(key: string, options: PrepareOptions = {}): Promise<SnapshotMounts> {
    return this.#make(key, "active", options);
  }

  async view(key: string, options: PrepareOptions = {}): Promise<SnapshotMounts> {
    return this.#make(key, "view", options);
  }

  async mounts(key: string): Promise<SnapshotMounts> {
    return this.#mountsOf(this.#find(key).info);
  }

  async commit(key: string, chainId: Digest, options: SnapshotOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const { info, files } = this.#find(key);
    if (info.kind === "view")
      throw new GantryError("failed-precondition", `commit snapshot "${key}": a view takes no writes`);
    this.#snapshots.delete(key);
    if (this.#layers.has(chainId)) return;
    this.#layers.set(chainId, {
      info: {
        chainId,
        ...(info.parent === undefined ? {} : { parentChainId: info.parent }),
        usage: usageOf(files),
        createdAt: new Date().toISOString(),
      },
      files,
    });
  }

  async remove(key: string, options: SnapshotOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.#find(key);
    this.#snapshots.delete(key);
  }

  async stat(key: string): Promise<SnapshotInfo> {
    return this.#find(key).info;
  }

  async list(): Promise<readonly SnapshotInfo[]> {
    return [...this.#snapshots.values()].map(({ info }) => info);
  }

  async usage(key: string): Promise<SnapshotUsage> {
    const { info, files } = this.#find(key);
    return info.kind === "view" ? { sizeBytes: 0, inodes: 0 } : usageOf(files);
  }

  async readFile(key: string, path: string, options: ReadFileOptions = {}): Promise<Uint8Array | undefined> {
    const { info, files } = this.#find(key);
    const limitBytes = options.limitBytes ?? 1024 * 1024;
    for (const layer of [files, ...this.#chain(info.parent).map((layer) => layer.files)]) {
      const found = layer.get(normal(path));
      if (found && found.length > limitBytes)
        throw new GantryError(
          "resource-exhausted",
          `read "${path}" in root: longer than ${limitBytes} bytes`,
        );
      if (found) return found;
    }
    return undefined;
  }

  async hasLayer(chainId: Digest): Promise<boolean> {
    return this.#layers.has(chainId);
  }

  async statLayer(chainId: Digest): Promise<LayerInfo> {
    const layer = this.#layers.get(chainId);
    if (!layer) throw new GantryError("not-found", `find layer "${chainId}": it is not unpacked here`);
    return layer.info;
  }

  async listLayers(): Promise<readonly LayerInfo[]> {
    return [...this.#layers.values()].map(({ info }) => info);
  }

  async removeLayer(chainId: Digest, options: RemoveLayerOptions = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    const layer = this.#layers.get(chainId);
    if (!layer) return false;
    const above = [...this.#layers.values()].find(({ info }) => info.parentChainId === chainId);
    const user = above ?? [...this.#snapshots.values()].find(({ info }) => info.parent === chainId);
    if (user)
      throw new GantryError("failed-precondition", `remove layer "${chainId}": something lies on it`, {
        detail: { chainId },
      });
    this.#layers.delete(chainId);
    let keep = true;
    try {
      keep = (await options.unless?.()) ?? false;
    } finally {
      if (keep) this.#layers.set(chainId, layer);
    }
    return !keep;
  }
}

function usageOf(files: Files): SnapshotUsage {
  let sizeBytes = 0;
  for (const data of files.values()) sizeBytes += data.length;
  return { sizeBytes, inodes: files.size + 1 };
}
