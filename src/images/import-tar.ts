/** Makes an image of one layer from the tar of a root file system, packed or not. */
import { GantryError } from "../base/error.ts";
import { writeBlob } from "../content/read-all.ts";
import { type Digest, Digester } from "../spec/digest.ts";
import { type ImageConfig, type ImageExecution, platformOf } from "../spec/image-config.ts";
import type { LayerCompression } from "../spec/media-types.ts";
import { mediaTypes } from "../spec/media-types.ts";
import type { Platform } from "../spec/platform.ts";
import { parseReference } from "../spec/reference.ts";
import { decompress, sniffCompression } from "./decompress.ts";
import { hostPlatform } from "./host-platform.ts";
import { type Image, openImage } from "./image.ts";
import { imageName, setName } from "./naming.ts";
import type { ImageDeps, UnpackLimits } from "./pull-options.ts";

export interface ImportOptions {
  /** The image's name; without one it is untagged. */
  readonly name?: string;
  /** What containers of the image run by default. */
  readonly execution?: ImageExecution;
  readonly message?: string;
  readonly platform?: Platform;
  /** RFC 3339; default now. With a fixed time, equal tars give equal images. */
  readonly created?: string;
  readonly limits?: UnpackLimits;
  readonly signal?: AbortSignal;
}

const layerTypes = {
  none: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
} as const;

interface StoredLayer {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly diffId: Digest;
  readonly compression: LayerCompression;
}

/** Stores the bytes as they come, and finds both digests in one reading. */
async function storeLayer(
  deps: ImageDeps,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<StoredLayer> {
  const { signal, limits } = options;
  await using ingest = await deps.content.ingestUnnamed(signal ? { signal } : {});
  let compression: LayerCompression | undefined;
  const stored = (async function* () {
    for await (const chunk of source) {
      signal?.throwIfAborted();
      if (chunk.length === 0) continue;
      compression ??= sniffCompression(chunk);
      await ingest.write(chunk);
      yield chunk;
    }
  })();
  const digester = new Digester();
  // what follows the packed part belongs to the blob, too: the decompressor must not close the source
  const open: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => ({ next: () => stored.next() }) };
  try {
    // the size is not known beforehand: the absolute limit has to do
    const tar = decompress(open, {
      what: "imported archive",
      compressedBytes: Number.MAX_SAFE_INTEGER,
      ...(limits ? { limits } : {}),
    });
    for await (const chunk of tar) digester.update(chunk);
    for await (const _ of stored) {
      // the rest is only stored
    }
  } finally {
    await stored.return();
  }
  const { digest, sizeBytes } = await ingest.commit();
  return { digest, sizeBytes, diffId: digester.digest(), compression: compression ?? "none" };
}

/** Imports `source`; the layer is unpacked before the image gets its name. */
export async function importTar(
  deps: ImageDeps,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<Image> {
  const { signal } = options;
  signal?.throwIfAborted();
  const reference = options.name === undefined ? undefined : parseReference(options.name);
  if (reference?.digest)
    throw new GantryError(
      "invalid-argument",
      `import image "${options.name}": a name with a digest cannot be given`,
    );
  using lease = deps.leases.open();
  const layer = await storeLayer(deps, source, options);
  // with one layer, the chainID is the diffID
  lease.claim(layer.digest, layer.diffId);
  if (!(await deps.content.info(layer.digest)))
    throw new GantryError(
      "aborted",
      "import image: garbage collection was faster than the claim on the layer, try again",
    );
  if (!(await deps.layers.has(layer.diffId))) {
    const tar = decompress(deps.content.read(layer.digest, signal ? { signal } : {}), {
      what: "imported archive",
      compressedBytes: layer.sizeBytes,
      ...(options.limits ? { limits: options.limits } : {}),
    });
    await deps.layers.apply({
      chainId: layer.diffId,
      diffId: layer.diffId,
      tar,
      ...(signal ? { signal } : {}),
    });
  }
  const created = options.created ?? new Date().toISOString();
  const imageConfig: ImageConfig = {
    created,
    ...platformFields(options.platform ?? hostPlatform()),
    config: options.execution ?? {},
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
    history: [{ created, comment: options.message ?? "Imported from a tar archive" }],
  };
  const common = signal ? { signal } : {};
  const write = async (value: unknown, mediaType: string) => {
    const stored = await writeBlob(deps.content, Buffer.from(JSON.stringify(value)), {
      ...common,
      claim: lease.claim,
    });
    return { mediaType, ...stored };
  };
  const config = await write(imageConfig, mediaTypes.ociConfig);
  const layers = [{ mediaType: layerTypes[layer.compression], digest: layer.digest, size: layer.sizeBytes }];
  const manifest = await write(
    { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers },
    mediaTypes.ociManifest,
  );
  signal?.throwIfAborted();
  const name = reference ? imageName(reference) : manifest.digest;
  setName(deps.images, { name, target: manifest, manifest, config, updated: new Date().toISOString() });
  return await openImage(deps, name, common);
}

function platformFields(platform: Platform): Pick<ImageConfig, "os" | "architecture" | "variant"> {
  const { os, architecture, variant } = platformOf({ ...platform, rootfs: { type: "layers", diff_ids: [] } });
  return { os, architecture, ...(variant ? { variant } : {}) };
}
