/** Makes OCI image layouts on disk from lists of files, for skopeo to copy into registries. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { Descriptor } from "../../src/spec/descriptor.ts";
import { digestHex, digestOf } from "../../src/spec/digest.ts";
import type { LayerCompression } from "../../src/spec/media-types.ts";
import { mediaTypes } from "../../src/spec/media-types.ts";
import type { Platform } from "../../src/spec/platform.ts";

export interface LayerFiles {
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly compression: LayerCompression;
}

export interface TestImage {
  readonly layers: readonly LayerFiles[];
  readonly platform: Platform;
}

const layerTypes = { none: mediaTypes.ociLayer, gzip: mediaTypes.ociLayerGzip, zstd: mediaTypes.ociLayerZstd } as const;

/** A tar of the files with GNU tar, so that the tests do not read what our own code wrote. */
export function tarOf(files: LayerFiles["files"]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "gantry-layer-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return execFileSync("tar", ["-C", folder, "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-cf", "-", "."], {
      maxBuffer: 1 << 30,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compress(tar: Buffer, compression: LayerCompression): Buffer {
  if (compression === "gzip") return gzipSync(tar, { level: 1 });
  return compression === "zstd" ? zstdCompressSync(tar) : tar;
}

/** Writes the layout to `folder`; several images become one index with platforms. Gives the top descriptor. */
export function writeLayout(folder: string, images: readonly TestImage[], attestation = false): Descriptor {
  const blob = (bytes: Uint8Array, mediaType: string): Descriptor => {
    const digest = digestOf(bytes);
    mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
    writeFileSync(join(folder, "blobs/sha256", digestHex(digest)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: unknown, mediaType: string) => blob(Buffer.from(JSON.stringify(value)), mediaType);
  const manifests = images.map(({ layers, platform }) => {
    const tars = layers.map((layer) => tarOf(layer.files));
    const config = json(
      {
        ...platform,
        created: "2024-01-01T00:00:00Z",
        config: { Env: ["PATH=/bin"], Cmd: ["sh"], Labels: { made: "test" } },
        rootfs: { type: "layers", diff_ids: tars.map((tar) => digestOf(tar)) },
        history: layers.map(() => ({ created_by: "test" })),
      },
      mediaTypes.ociConfig,
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: layers.map(({ compression }, index) => blob(compress(tars[index]!, compression), layerTypes[compression])),
    };
    return { ...json(manifest, mediaTypes.ociManifest), platform };
  });
  if (attestation) {
    const config = json({ architecture: "unknown", os: "unknown", rootfs: { type: "layers", diff_ids: [] } }, mediaTypes.ociConfig);
    manifests.push({
      ...json({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] }, mediaTypes.ociManifest),
      platform: { os: "unknown", architecture: "unknown" },
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    } as Descriptor & { platform: Platform });
  }
  const [only] = manifests;
  const top =
    manifests.length === 1 && only
      ? only
      : json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
  writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  writeFileSync(
    join(folder, "index.json"),
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...top, annotations }] }),
  );
  return top;
}
