/** What a pull needs, on disk in a folder of the test; layers are only remembered, unpacking is tested elsewhere. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskContentStore } from "../../src/content/disk-store.ts";
import type { Image } from "../../src/images/image.ts";
import { ImageStore } from "../../src/images/image-store.ts";
import { Leases } from "../../src/images/leases.ts";
import { MemoryLayers } from "../../src/images/memory-layers.ts";
import { pullImage } from "../../src/images/pull.ts";
import type { PullOptions } from "../../src/images/pull-options.ts";
import { RegistryClient, type RegistryClientOptions } from "../../src/registry/client.ts";

export interface Stores {
  readonly root: string;
  readonly content: DiskContentStore;
  readonly images: ImageStore;
  readonly leases: Leases;
  readonly layers: MemoryLayers;
  readonly lockFolder: string;
}

export function storesAt(root: string): Stores {
  return {
    root,
    content: new DiskContentStore(join(root, "content")),
    images: new ImageStore(join(root, "images")),
    leases: new Leases(join(root, "leases")),
    layers: new MemoryLayers(),
    lockFolder: join(root, "locks"),
  };
}

/** Tries that follow each other quickly: the tests are about what happens, not when. */
export const quickRetries = { attempts: 4, baseMs: 5, maxMs: 20 } as const;

export async function pull(
  stores: Stores,
  name: string,
  client: RegistryClientOptions = {},
  options: PullOptions = {},
): Promise<Image> {
  using registry = new RegistryClient({ retry: quickRetries, ...client });
  return await pullImage({ ...stores, registry }, name, options);
}

/** Runs `body` with a folder that goes afterwards. */
export async function withFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-pull-"));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Names in the folder of partial blobs. */
export function partials(stores: Stores): readonly string[] {
  try {
    return readdirSync(join(stores.root, "content/ingest"));
  } catch {
    return [];
  }
}
