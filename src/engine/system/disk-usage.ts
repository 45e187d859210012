/** `system df`: how much of the disk images, containers and volumes take, and how much of that could be had back. */
import { type Image, listImages } from "../../images/image.ts";
import type { Digest } from "../../spec/digest.ts";
import { type ContainerSummary, listContainers } from "../containers/list.ts";
import type { Internals } from "../internals.ts";
import { listVolumes, type Volume } from "../volumes/volumes.ts";
import { type Measured, measureStore } from "./measure.ts";

export interface ImageUsage {
  readonly image: Image;
  /** Blobs and unpacked layers. */
  readonly sizeBytes: number;
  /** Of it, what other images have as well. */
  readonly sharedBytes: number;
  /** How many containers were made of it. */
  readonly containers: number;
}

export interface ContainerUsage {
  readonly container: ContainerSummary;
  /** What it has written to its root, its log, and its own files. */
  readonly sizeBytes: number;
  readonly writtenBytes: number;
}

export interface VolumeUsage {
  readonly volume: Volume;
  readonly sizeBytes: number;
}

export interface UsageTotal {
  readonly total: number;
  readonly active: number;
  readonly sizeBytes: number;
  readonly reclaimableBytes: number;
}

export interface DiskUsage {
  readonly images: readonly ImageUsage[];
  readonly containers: readonly ContainerUsage[];
  readonly volumes: readonly VolumeUsage[];
  readonly totals: {
    readonly images: UsageTotal;
    readonly containers: UsageTotal;
    readonly volumes: UsageTotal;
  };
}

export async function measureDiskUsage(
  internals: Internals,
  options: { readonly signal?: AbortSignal } = {},
): Promise<DiskUsage> {
  const summaries = await listContainers(internals, { all: true, ...options });
  const [images, measured] = [await listImages(internals, options), await measureStore(internals, options)];
  const things = new Map(images.map((image) => [image, thingsOf(image, measured)] as const));
  const users = new Map<Thing, number>();
  for (const own of things.values())
    for (const thing of own.keys()) users.set(thing, (users.get(thing) ?? 0) + 1);
  const usages = images.map((image): ImageUsage => {
    const own = [...(things.get(image) ?? [])];
    return {
      image,
      sizeBytes: sum(own.map(([, size]) => size)),
      sharedBytes: sum(own.filter(([thing]) => users.get(thing)! > 1).map(([, size]) => size)),
      containers: summaries.filter(({ record }) => record.image.manifest === image.manifestDescriptor.digest)
        .length,
    };
  });
  const containers = summaries.map((container): ContainerUsage => {
    const found = measured.containers.find(({ record }) => record.id === container.id);
    const { writtenBytes = 0, ownBytes = 0 } = found ?? {};
    return { container, sizeBytes: writtenBytes + ownBytes, writtenBytes };
  });
  const volumes = (await listVolumes(internals, options)).map(
    (volume): VolumeUsage => ({ volume, sizeBytes: measured.volumes.get(volume.name) ?? 0 }),
  );
  const unused = volumes.filter(({ volume }) => volume.usedBy.length === 0);
  return {
    images: usages,
    containers,
    volumes,
    totals: {
      volumes: {
        total: volumes.length,
        active: volumes.length - unused.length,
        sizeBytes: sum(volumes.map(({ sizeBytes }) => sizeBytes)),
        reclaimableBytes: sum(unused.map(({ sizeBytes }) => sizeBytes)),
      },
      images: imageTotal(usages, things, measured),
      containers: {
        total: containers.length,
        active: containers.filter(isActive).length,
        sizeBytes: sum(containers.map(({ sizeBytes }) => sizeBytes)),
        reclaimableBytes: sum(containers.filter((one) => !isActive(one)).map(({ sizeBytes }) => sizeBytes)),
      },
    },
  };
}

function isActive({ container: { status } }: ContainerUsage): boolean {
  return status !== "created" && status !== "exited";
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}

/** A blob, or the layer that was unpacked of it: the lowest layer has the digest of its tar, which may be the blob. */
type Thing = Digest | `layer ${Digest}`;

/** Everything on the disk that an image needs, with its size; a blob that is not kept takes nothing. */
function thingsOf(image: Image, { blobs, layers }: Measured): ReadonlyMap<Thing, number> {
  const { target, manifestDescriptor, manifest, chainIds } = image;
  const things = new Map<Thing, number>();
  for (const { digest } of [target, manifestDescriptor, manifest.config, ...manifest.layers]) {
    const size = blobs.get(digest);
    if (size !== undefined) things.set(digest, size);
  }
  for (const chainId of chainIds) {
    const size = layers.get(chainId);
    if (size !== undefined) things.set(`layer ${chainId}`, size);
  }
  return things;
}

/** All that lies in the store counts, also what no image needs any more; what is in use stays. */
function imageTotal(
  usages: readonly ImageUsage[],
  things: ReadonlyMap<Image, ReadonlyMap<Thing, number>>,
  { blobs, layers, containers, unfinishedBytes }: Measured,
): UsageTotal {
  const used = new Map<Thing, number>();
  for (const { image, containers: count } of usages)
    if (count > 0) for (const [thing, size] of things.get(image) ?? []) used.set(thing, size);
  // a container keeps its layers, whatever has become of its image
  for (const { record } of containers)
    for (const chainId of record.image.chainIds) used.set(`layer ${chainId}`, layers.get(chainId) ?? 0);
  const sizeBytes = sum([...blobs.values(), ...layers.values(), unfinishedBytes]);
  return {
    total: usages.length,
    active: usages.filter(({ containers: count }) => count > 0).length,
    sizeBytes,
    reclaimableBytes: sizeBytes - sum([...used.values()]),
  };
}
