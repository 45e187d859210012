/** For the tests of this folder: a registry in memory, images made of bytes, and stores in a fresh folder. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { gzipSync } from "node:zlib";
import { GantryError } from "../base/error.ts";
import { MemoryContentStore } from "../content/memory-store.ts";
import type { Registry, ResolvedManifest } from "../registry/registry.ts";
import type { Descriptor } from "../spec/descriptor.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import { mediaTypes } from "../spec/media-types.ts";
import type { Reference } from "../spec/reference.ts";
import { ImageStore } from "./image-store.ts";
import { Leases } from "./leases.ts";
import { MemoryLayers } from "./memory-layers.ts";

/** Keeps blobs and tags; `blobStream` may be replaced to misbehave. */
export class MemoryRegistry implements Registry {
  readonly blobs = new Map<Digest, Buffer>();
  readonly tags = new Map<string, Descriptor>();
  /** Digests that were asked for, with the offset. */
  readonly fetched: { readonly digest: Digest; readonly offset: number }[] = [];
  /** Rejects when the caller of the latest fetchBlob gives up, for streams that wait. */
  aborted: Promise<never> = new Promise(() => {});
  blobStream: (bytes: Buffer, descriptor: Descriptor) => AsyncIterable<Uint8Array> = async function* (bytes) {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  };

  add(bytes: Buffer | object, mediaType: string): Descriptor {
    const blob = Buffer.isBuffer(bytes) ? bytes : Buffer.from(JSON.stringify(bytes));
    const digest = digestOf(blob);
    this.blobs.set(digest, blob);
    return { mediaType, digest, size: blob.length };
  }

  /** An image of the given uncompressed layers; `more` overrides members of its manifest or config. */
  addImage(
    layers: readonly Buffer[],
    more: { readonly config?: object; readonly manifest?: object } = {},
  ): Descriptor {
    const config = this.add(
      {
        os: "linux",
        architecture: "amd64",
        config: { Cmd: ["sh"] },
        rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) },
        ...more.config,
      },
      mediaTypes.ociConfig,
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: layers.map((layer) => this.add(gzipSync(layer, { level: 1 }), mediaTypes.ociLayerGzip)),
      ...more.manifest,
    };
    return this.add(manifest, mediaTypes.ociManifest);
  }

  async resolve(reference: Reference): Promise<ResolvedManifest> {
    const descriptor = this.tags.get(`${reference.path}:${reference.tag}`);
    if (!descriptor) throw new GantryError("not-found", "resolve: manifest unknown");
    return { descriptor };
  }

  async fetchManifest(_reference: Reference, descriptor: Descriptor): Promise<Uint8Array> {
    this.fetched.push({ digest: descriptor.digest, offset: 0 });
    return this.blobs.get(descriptor.digest) ?? Buffer.alloc(0);
  }

  async *fetchBlob(
    _reference: Reference,
    descriptor: Descriptor,
    options: { readonly offset?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const { offset = 0, signal } = options;
    this.aborted = new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    this.aborted.catch(() => {});
    this.fetched.push({ digest: descriptor.digest, offset });
    const bytes = this.blobs.get(descriptor.digest) ?? Buffer.alloc(0);
    for await (const chunk of this.blobStream(bytes.subarray(offset), descriptor)) {
      signal?.throwIfAborted();
      yield chunk;
    }
  }

  fetches(descriptor: Descriptor): number {
    return this.fetched.filter(({ digest }) => digest === descriptor.digest).length;
  }
}

/** All that pulling needs, empty. */
export function newStores() {
  const root = mkdtempSync(join(tmpdir(), "gantry-images-"));
  after(() => rmSync(root, { recursive: true, force: true }));
  return {
    root,
    lockFolder: join(root, "locks"),
    registry: new MemoryRegistry(),
    content: new MemoryContentStore(),
    images: new ImageStore(join(root, "images")),
    leases: new Leases(join(root, "leases")),
    layers: new MemoryLayers(),
  };
}

export type TestStores = ReturnType<typeof newStores>;

export async function blobCount(stores: TestStores): Promise<number> {
  let count = 0;
  for await (const _ of stores.content.list()) count++;
  return count;
}
