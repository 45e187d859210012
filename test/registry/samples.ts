/** Images for these tests, made by tar and our own hands, and pushed by skopeo or by our client. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { RegistryClient } from "../../src/registry/client.ts";
import type { Descriptor } from "../../src/spec/descriptor.ts";
import { digestOf } from "../../src/spec/digest.ts";
import { mediaTypes } from "../../src/spec/media-types.ts";
import { parseReference } from "../../src/spec/reference.ts";
import { must } from "../lib/command.ts";
import { type Compression, type ImageSource, writeLayout } from "../lib/oci-layout.ts";
import { type CopyOptions, inLayout, type Place, skopeoCopy } from "../lib/skopeo.ts";

/** A tar with one file of `sizeBytes` random bytes, which no compressor shortens. */
async function randomTar(folder: string, name: string, sizeBytes: number): Promise<string> {
  const tree = join(folder, `tree-${name}`);
  mkdirSync(tree, { recursive: true });
  writeFileSync(join(tree, name), randomBytes(sizeBytes));
  const tar = join(folder, `${name}.tar`);
  await must(["tar", "-C", tree, "-cf", tar, "."]);
  return tar;
}

/** Has skopeo push an image of three layers, packed three ways, or one image for each architecture. */
export async function pushWithSkopeo(
  folder: string,
  place: Place,
  options: CopyOptions & {
    readonly architectures?: readonly string[];
    readonly compressions?: readonly Compression[];
  } = {},
): Promise<void> {
  const { architectures = [undefined], compressions = ["gzip", "zstd", "none"], ...copy } = options;
  const images: ImageSource[] = [];
  for (const [index, architecture] of architectures.entries()) {
    const layers = [];
    for (const [layer, compression] of compressions.entries())
      layers.push({ tar: await randomTar(folder, `${layer}-${index}`, 200_000), compression });
    images.push({ layers, config: { Cmd: ["sh"] }, ...(architecture ? { architecture } : {}) });
  }
  await writeLayout(join(folder, "layout"), "latest", images);
  await skopeoCopy(inLayout(join(folder, "layout"), "latest"), place, copy);
}

export interface PushedImage {
  readonly manifest: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** Pushes an image of random layers with our own client. */
export async function pushRandom(name: string, layerBytes: readonly number[]): Promise<PushedImage> {
  using client = new RegistryClient();
  const reference = parseReference(name);
  const push = async (bytes: Buffer, mediaType: string): Promise<Descriptor> => {
    const blob = { digest: digestOf(bytes), size: bytes.length };
    await client.pushBlob(reference, blob, async function* () {
      yield bytes;
    });
    return { mediaType, ...blob };
  };
  const contents = layerBytes.map((size) => randomBytes(size));
  const layers: Descriptor[] = [];
  for (const content of contents)
    layers.push(await push(gzipSync(content, { level: 1 }), mediaTypes.ociLayerGzip));
  const rootfs = { type: "layers", diff_ids: contents.map((content) => digestOf(content)) };
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const config = await push(
    Buffer.from(JSON.stringify({ os: "linux", architecture, rootfs })),
    mediaTypes.ociConfig,
  );
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return { manifest: await client.pushManifest(reference, mediaTypes.ociManifest, bytes), layers };
}
