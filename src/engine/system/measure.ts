/**
 * What the store holds on the disk, as blocks and inodes count, each thing once: blobs by digest, unpacked layers by
 * chainID, what containers have written, their logs, volumes, and what is neither complete nor anybody's yet.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, wrapErrno } from "../../base/error.ts";
import { DiskLayout } from "../../content/disk-layout.ts";
import { diskUsage } from "../../snapshots/disk-usage.ts";
import type { Digest } from "../../spec/digest.ts";
import type { ContainerRecord } from "../containers/container-record.ts";
import type { Internals } from "../internals.ts";

export interface MeasuredContainer {
  readonly record: ContainerRecord;
  /** What it has written to its root. */
  readonly writtenBytes: number;
  /** Log, bundle and record. */
  readonly ownBytes: number;
}

export interface Measured {
  readonly blobs: ReadonlyMap<Digest, number>;
  readonly layers: ReadonlyMap<Digest, number>;
  readonly containers: readonly MeasuredContainer[];
  /** By name. */
  readonly volumes: ReadonlyMap<string, number>;
  /** Downloads, layers and volumes that are on their way, or were when their process died. */
  readonly unfinishedBytes: number;
}

interface MeasureOptions {
  /** Take the size of a layer from the record of its unpacking, which leaves out what the file system rounds up. */
  readonly quick?: boolean;
  readonly signal?: AbortSignal;
}

export async function measureStore(internals: Internals, options: MeasureOptions = {}): Promise<Measured> {
  const { layout, logger } = internals;
  const cancellable = options.signal ? { signal: options.signal } : {};
  const sizeOf = async (path: string) => (await diskUsage(path, cancellable)).sizeBytes;
  const blobs = new Map<Digest, number>();
  const files = new DiskLayout(layout.content);
  for await (const { digest, sizeBytes } of internals.content.list(cancellable))
    blobs.set(digest, options.quick ? sizeBytes : await sizeOf(files.blob(digest)));
  const layers = new Map<Digest, number>();
  const snapshotter = await internals.snapshotter();
  for (const { chainId, usage } of await snapshotter.listLayers(cancellable))
    layers.set(
      chainId,
      options.quick ? usage.sizeBytes : await sizeOf(layerDirectory(layout.snapshots, chainId)),
    );
  const containers: MeasuredContainer[] = [];
  const warn = (id: string, error: unknown) =>
    logger.warn("a container cannot be read", { id, error: String(error) });
  for (const record of internals.containers.list(warn))
    containers.push({
      record,
      writtenBytes: await sizeOf(join(layout.snapshots, "active", record.id)),
      ownBytes: await sizeOf(internals.containers.directory(record.id)),
    });
  const volumes = new Map<string, number>();
  let unfinishedBytes = 0;
  for (const name of namesIn(layout.volumes)) {
    const size = await sizeOf(join(layout.volumes, name));
    // on its way in or out
    if (name.startsWith(".")) unfinishedBytes += size;
    else volumes.set(name, size);
  }
  for (const dir of [files.ingest, files.trash, join(layout.snapshots, "staging")])
    for (const name of namesIn(dir)) unfinishedBytes += await sizeOf(join(dir, name));
  return { blobs, layers, containers, volumes, unfinishedBytes };
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw wrapErrno(error, "read directory", dir);
  }
}

/** As src/snapshots/overlay-store.ts names it. */
function layerDirectory(snapshots: string, chainId: Digest): string {
  const [algorithm, hex] = chainId.split(":") as [string, string];
  return join(snapshots, "layers", algorithm === "sha256" ? hex : `${algorithm}-${hex}`);
}

export function totalBytes({ blobs, layers, containers, volumes, unfinishedBytes }: Measured): number {
  const sum = (sizes: Iterable<number>) => [...sizes].reduce((total, size) => total + size, 0);
  return (
    sum(blobs.values()) +
    sum(layers.values()) +
    sum(volumes.values()) +
    sum(containers.map(({ writtenBytes, ownBytes }) => writtenBytes + ownBytes)) +
    unfinishedBytes
  );
}
