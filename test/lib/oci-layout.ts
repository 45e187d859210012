/** Writes OCI image layouts from layer tars: the images of the tests, in whatever shape a test wants them. */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, createZstdCompress } from "node:zlib";

export type Compression = "gzip" | "zstd" | "none";

export interface LayerSource {
  /** An uncompressed tar file. */
  readonly tar: string;
  readonly compression: Compression;
  /** The same, already compressed: taken as it is. */
  readonly compressed?: string;
}

export interface ImageSource {
  readonly layers: readonly LayerSource[];
  /** The `config` member of the image configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly architecture?: string;
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const types = {
  config: "application/vnd.oci.image.config.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  layer: {
    gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
    zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
    none: "application/vnd.oci.image.layer.v1.tar",
  },
} as const;

/** Writes a layout at `dir` that holds one image under `tag`; several images become an index of platforms. */
export async function writeLayout(
  dir: string,
  tag: string,
  images: readonly ImageSource[],
): Promise<Descriptor> {
  mkdirSync(join(dir, "blobs/sha256"), { recursive: true });
  const manifests = [];
  for (const image of images) manifests.push(await writeImage(dir, image));
  const named =
    manifests.length === 1
      ? manifests[0]!
      : putJson(dir, types.index, { schemaVersion: 2, mediaType: types.index, manifests });
  const { mediaType, digest, size } = named;
  const entry = { mediaType, digest, size, annotations: { "org.opencontainers.image.ref.name": tag } };
  writeFileSync(join(dir, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(join(dir, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  return { mediaType, digest, size };
}

async function writeImage(dir: string, image: ImageSource) {
  const layers = [];
  const diffIds = [];
  for (const layer of image.layers) {
    const put = await putLayer(dir, layer);
    diffIds.push(put.diffId);
    layers.push(put.descriptor);
  }
  const platform = {
    architecture: image.architecture ?? (process.arch === "arm64" ? "arm64" : "amd64"),
    os: "linux",
    ...(image.variant === undefined ? {} : { variant: image.variant }),
  };
  const config = putJson(dir, types.config, {
    created: "2024-01-01T00:00:00Z",
    ...platform,
    config: image.config ?? {},
    rootfs: { type: "layers", diff_ids: diffIds },
    history: layers.map(() => ({ created: "2024-01-01T00:00:00Z", created_by: "test" })),
  });
  const manifest = { schemaVersion: 2, mediaType: types.manifest, config, layers };
  return { ...putJson(dir, types.manifest, manifest), platform };
}

async function putLayer(
  dir: string,
  layer: LayerSource,
): Promise<{ descriptor: Descriptor; diffId: string }> {
  const mediaType = types.layer[layer.compression];
  const plain = await digestOfFile(layer.tar);
  const path = join(dir, "blobs", `stage-${plain.digest.slice(7, 19)}`);
  if (layer.compressed !== undefined) copyFileSync(layer.compressed, path);
  else await compressFile(layer.tar, path, layer.compression);
  const blob = await digestOfFile(path);
  renameSync(path, blobPath(dir, blob.digest));
  return { descriptor: { mediaType, ...blob }, diffId: plain.digest };
}

/** Compresses a file, deterministically. */
export async function compressFile(from: string, to: string, compression: Compression): Promise<void> {
  if (compression === "none") return copyFileSync(from, to);
  const stage = `${to}.part`;
  try {
    const compressor = compression === "gzip" ? createGzip({ level: 6 }) : createZstdCompress();
    await pipeline(createReadStream(from, { highWaterMark: 1 << 20 }), compressor, createWriteStream(stage));
    renameSync(stage, to);
  } finally {
    rmSync(stage, { force: true });
  }
}

export async function digestOfFile(path: string): Promise<{ digest: string; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done();
    },
  });
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), count.resume());
  return { digest: `sha256:${hash.digest("hex")}`, size };
}

/** Where a blob lies in a layout. */
export function blobPath(dir: string, digest: string): string {
  return join(dir, "blobs", digest.replace(":", "/"));
}

function putJson(dir: string, mediaType: string, value: unknown): Descriptor {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  writeFileSync(blobPath(dir, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}
