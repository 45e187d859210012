/** Makes an image of another one and a layer on top of it. */
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { GantryError } from "../base/error.ts";
import { writeBlob } from "../content/read-all.ts";
import { chainIdsOf } from "../spec/chain-id.ts";
import { type Digest, Digester } from "../spec/digest.ts";
import type { ImageConfig, ImageExecution } from "../spec/image-config.ts";
import { mediaTypes } from "../spec/media-types.ts";
import { parseReference } from "../spec/reference.ts";
import { decompress } from "./decompress.ts";
import { type Image, type ImageContent, openImage } from "./image.ts";
import { imageName, setName } from "./naming.ts";
import type { ImageDeps } from "./pull-options.ts";

export interface CommitImageOptions {
  /** The image's name; without one it is untagged. */
  readonly name?: string;
  readonly author?: string;
  readonly message?: string;
  /** What made the layer. */
  readonly createdBy?: string;
  /** In place of what the image below has. */
  readonly execution: ImageExecution;
  readonly signal?: AbortSignal;
}

/** Stores the tar compressed, and finds the digests of both. */
async function storeTar(deps: ImageDeps, tar: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
  const common = signal ? { signal } : {};
  await using ingest = await deps.content.ingestUnnamed(common);
  const digester = new Digester();
  await pipeline(
    async function* () {
      for await (const chunk of tar) {
        digester.update(chunk);
        yield chunk;
      }
    },
    createGzip(),
    async (packed: AsyncIterable<Uint8Array>) => {
      for await (const chunk of packed) await ingest.write(chunk);
    },
    common,
  );
  const { digest, sizeBytes } = await ingest.commit();
  return { digest, sizeBytes, diffId: digester.digest() };
}

/** `tar`: the layer, not compressed. It is unpacked before the image gets its name. */
export async function commitImage(
  deps: ImageDeps,
  base: ImageContent,
  tar: AsyncIterable<Uint8Array>,
  options: CommitImageOptions,
): Promise<Image> {
  const { signal } = options;
  const common = signal ? { signal } : {};
  signal?.throwIfAborted();
  const reference = options.name === undefined ? undefined : parseReference(options.name);
  if (reference?.digest)
    throw new GantryError(
      "invalid-argument",
      `commit "${options.name}": a name with a digest cannot be given`,
    );
  using lease = deps.leases.open();
  lease.claim(...base.manifest.layers.map(({ digest }) => digest), ...base.chainIds);
  const layer = await storeTar(deps, tar, signal);
  const diffIds = [...base.diffIds, layer.diffId];
  const chainId = (await chainIdsOf(diffIds)).at(-1)!;
  lease.claim(layer.digest, chainId);
  await requireBlobs(deps, [layer.digest, ...base.manifest.layers.map(({ digest }) => digest)]);
  await unpack(deps, base, layer, chainId, signal);

  const created = new Date().toISOString();
  const write = async (value: unknown, mediaType: string) => {
    const stored = await writeBlob(deps.content, Buffer.from(JSON.stringify(value)), {
      ...common,
      claim: lease.claim,
    });
    return { mediaType, ...stored };
  };
  const config = await write(imageConfigOf(base, options, created, diffIds), mediaTypes.ociConfig);
  const own = { mediaType: mediaTypes.ociLayerGzip, digest: layer.digest, size: layer.sizeBytes };
  const manifest = await write(
    {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: [...base.manifest.layers, own],
    },
    mediaTypes.ociManifest,
  );
  signal?.throwIfAborted();
  const name = reference ? imageName(reference) : manifest.digest;
  setName(deps.images, { name, target: manifest, manifest, config, updated: created });
  return await openImage(deps, name, common);
}

function imageConfigOf(
  { imageConfig }: ImageContent,
  options: CommitImageOptions,
  created: string,
  diffIds: readonly Digest[],
): ImageConfig {
  const { author, message, createdBy } = options;
  const history = {
    created,
    ...(author === undefined ? {} : { author }),
    ...(createdBy === undefined ? {} : { created_by: createdBy }),
    ...(message === undefined ? {} : { comment: message }),
  };
  const { author: _, ...rest } = imageConfig;
  return {
    ...rest,
    created,
    ...(author === undefined ? {} : { author }),
    config: options.execution,
    rootfs: { type: "layers", diff_ids: [...diffIds] },
    history: [...(imageConfig.history ?? []), history],
  };
}

/** A collection that was under way when they were claimed may have taken some. */
async function requireBlobs(deps: ImageDeps, digests: readonly Digest[]): Promise<void> {
  for (const digest of digests)
    if (!(await deps.content.info(digest)))
      throw new GantryError("aborted", `commit: the layer ${digest} was removed meanwhile, try again`);
}

async function unpack(
  deps: ImageDeps,
  base: ImageContent,
  layer: { readonly digest: Digest; readonly sizeBytes: number; readonly diffId: Digest },
  chainId: Digest,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await deps.layers.has(chainId)) return;
  const common = signal ? { signal } : {};
  const parentChainId = base.chainIds.at(-1);
  const tar = decompress(deps.content.read(layer.digest, common), {
    what: "committed layer",
    compressedBytes: layer.sizeBytes,
  });
  await deps.layers.apply({
    chainId,
    ...(parentChainId ? { parentChainId } : {}),
    diffId: layer.diffId,
    tar,
    ...common,
  });
}
