import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import { chainIdsOf } from "./chain-id.ts";
import type { Descriptor } from "./descriptor.ts";
import { digestOf, parseDigest } from "./digest.ts";
import { decodeImageConfig } from "./image-config.ts";
import { candidatesFor, decodeIndex, isAttestation, platformsOf } from "./image-index.ts";
import { decodeManifest } from "./manifest.ts";
import { layerCompressionOf, mediaTypes } from "./media-types.ts";
import { parsePlatform } from "./platform.ts";

const blob = (mediaType: string, more: object = {}): Descriptor => ({
  mediaType,
  digest: digestOf(mediaType),
  size: 7,
  ...more,
});
const manifestWith = (more: object) =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: blob(mediaTypes.ociConfig),
    layers: [blob(mediaTypes.ociLayerGzip)],
    ...more,
  });
const invalid = (reason: RegExp) => (error: unknown) =>
  isGantryError(error, "invalid-argument") && reason.test(error.message);

test("a manifest gives its config and layers, and drops what it does not know", () => {
  const manifest = decodeManifest(
    manifestWith({ unknown: 1, annotations: { a: "b" } }),
    mediaTypes.ociManifest,
  );
  assert.deepEqual(manifest, {
    mediaType: mediaTypes.ociManifest,
    config: blob(mediaTypes.ociConfig),
    layers: [blob(mediaTypes.ociLayerGzip)],
    annotations: { a: "b" },
  });
});

test("a manifest without media type takes the announced one", () => {
  const text = manifestWith({ mediaType: undefined });
  assert.equal(decodeManifest(text, mediaTypes.dockerManifest).mediaType, mediaTypes.dockerManifest);
  assert.equal(decodeManifest(text).mediaType, mediaTypes.ociManifest);
});

test("a manifest that could be read as something else is refused", () => {
  assert.throws(() => decodeManifest(manifestWith({ manifests: [] })), invalid(/both layers and manifests/));
  assert.throws(
    () => decodeManifest(manifestWith({}), mediaTypes.dockerManifest),
    invalid(/announced as .* but it calls itself/),
  );
  assert.throws(
    () => decodeManifest(manifestWith({ mediaType: mediaTypes.ociIndex })),
    invalid(/not the media type of an image manifest/),
  );
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] };
  assert.throws(
    () => decodeIndex(JSON.stringify({ ...index, layers: [] })),
    invalid(/also config or layers/),
  );
  assert.throws(
    () => decodeIndex(JSON.stringify({ ...index, mediaType: mediaTypes.ociManifest })),
    invalid(/not the media type of an image index/),
  );
});

test("a wrong member is named by its JSON pointer", () => {
  for (const [more, reason] of [
    [{ schemaVersion: 1 }, /\/schemaVersion: 1 is out of range/],
    [
      { config: { ...blob(mediaTypes.ociConfig), digest: "sha256:zz" } },
      /\/config\/digest: "sha256:zz" is not a supported digest/,
    ],
    [{ layers: [{ ...blob(mediaTypes.ociLayer), size: -1 }] }, /\/layers\/0\/size: -1 is out of range/],
    [{ layers: [{ ...blob(mediaTypes.ociLayer), mediaType: "nonsense" }] }, /\/layers\/0\/mediaType/],
    [{ layers: {} }, /\/layers: expected an array/],
    [{ config: undefined }, /\/config: is required/],
  ] as const)
    assert.throws(() => decodeManifest(manifestWith(more)), invalid(reason));
  assert.throws(() => decodeManifest("{"), invalid(/parse image manifest/));
});

test("a manifest above 4 MiB is not parsed at all", () => {
  const text = manifestWith({ annotations: { a: "x".repeat(4 * 1024 * 1024) } });
  assert.throws(
    () => decodeManifest(text),
    (error) => isGantryError(error, "resource-exhausted"),
  );
});

const entry = (platform: string | undefined, more: object = {}): Descriptor => ({
  ...blob(mediaTypes.ociManifest),
  ...(platform
    ? {
        platform: {
          os: platform.split("/")[0]!,
          architecture: platform.split("/")[1]!,
          ...(platform.split("/")[2] ? { variant: platform.split("/")[2]! } : {}),
        },
      }
    : {}),
  ...more,
});
const indexOf = (...manifests: Descriptor[]) =>
  decodeIndex(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));

test("the platform is chosen from an index: exact first, then fallbacks, never an attestation", () => {
  const index = indexOf(
    entry("unknown/unknown"),
    entry("linux/arm/v5", { size: 5 }),
    entry("linux/arm/v6", { size: 6 }),
    entry("linux/arm/v7", { size: 77 }),
    entry("linux/amd64", { size: 64 }),
    entry("linux/amd64", { annotations: { "vnd.docker.reference.type": "attestation-manifest" } }),
    entry("windows/amd64"),
    entry("linux/arm64", { size: 640, mediaType: "application/vnd.other+json" }),
  );
  const sizes = (platform: string) => candidatesFor(index, parsePlatform(platform)).map(({ size }) => size);
  assert.deepEqual(sizes("linux/amd64"), [64]);
  assert.deepEqual(sizes("linux/arm/v6"), [6, 5]);
  assert.deepEqual(sizes("linux/arm64"), [77, 6, 5], "an entry of a foreign type is no candidate");
  assert.deepEqual(sizes("linux/s390x"), []);
  assert.deepEqual(platformsOf(index), [
    "linux/arm/v5",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/amd64",
    "windows/amd64",
    "linux/arm64",
  ]);
  assert.ok(isAttestation(index.manifests[0]!));
});

test("entries without a platform and nested indexes are tried last", () => {
  const index = indexOf(
    entry(undefined, { size: 1 }),
    entry(undefined, { size: 2, mediaType: mediaTypes.ociIndex }),
    entry("linux/amd64", { size: 3 }),
  );
  assert.deepEqual(
    candidatesFor(index, parsePlatform("linux/amd64")).map(({ size }) => size),
    [3, 1, 2],
  );
});

test("an image config keeps what a container needs; null counts as absent", () => {
  const diffId = digestOf("layer");
  const imageConfig = decodeImageConfig(
    JSON.stringify({
      architecture: "arm64",
      variant: "v8",
      os: "linux",
      created: "2024-05-01T10:00:00.123456789Z",
      container_config: { Cmd: ["old"] },
      config: {
        User: "1000:1000",
        Env: ["PATH=/bin"],
        Entrypoint: null,
        Cmd: ["sh"],
        Volumes: { "/data": {} },
        ExposedPorts: { "80/tcp": {} },
        WorkingDir: "/srv",
        Labels: { a: "b" },
        StopSignal: "SIGQUIT",
        Healthcheck: { Test: ["CMD", "true"], Interval: 30e9, Retries: 3 },
        OnBuild: null,
      },
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created_by: "x", empty_layer: true }, { created: "2024-05-01T10:00:00+02:00" }],
    }),
  );
  assert.equal(imageConfig.config?.Entrypoint, undefined);
  assert.deepEqual(imageConfig.config?.Cmd, ["sh"]);
  assert.deepEqual(Object.keys(imageConfig.config?.Volumes ?? {}), ["/data"]);
  assert.equal(imageConfig.config?.Healthcheck?.Interval, 30e9);
  assert.equal(imageConfig.variant, "v8");
  assert.deepEqual(imageConfig.rootfs.diff_ids, [diffId]);
  assert.equal("container_config" in imageConfig, false);
});

test("an image config without layers or with another kind of rootfs is refused", () => {
  assert.throws(
    () => decodeImageConfig('{"os":"linux","architecture":"amd64"}'),
    invalid(/\/rootfs: is required/),
  );
  assert.throws(
    () => decodeImageConfig('{"os":"linux","architecture":"amd64","rootfs":{"type":"x","diff_ids":[]}}'),
    invalid(/\/rootfs\/type/),
  );
});

test("the compression of layers is read off the media type, and what is no layer is told apart", () => {
  assert.equal(layerCompressionOf(mediaTypes.ociLayer), "none");
  assert.equal(layerCompressionOf(mediaTypes.ociLayerGzip), "gzip");
  assert.equal(layerCompressionOf(mediaTypes.ociLayerZstd), "zstd");
  assert.equal(layerCompressionOf(mediaTypes.dockerLayer), "none");
  assert.equal(layerCompressionOf(mediaTypes.dockerLayerGzip), "gzip");
  assert.equal(layerCompressionOf(mediaTypes.dockerForeignLayer), "gzip");
  assert.equal(layerCompressionOf("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"), "zstd");
  assert.equal(layerCompressionOf("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), undefined);
  assert.equal(layerCompressionOf("application/vnd.cncf.helm.chart.content.v1.tar+gzip"), undefined);
});

test("chainIDs are those of the specification's formula", async () => {
  const [a, b, c] = ["a", "b", "c"].map((text) => digestOf(text)) as [
    ReturnType<typeof digestOf>,
    ReturnType<typeof digestOf>,
    ReturnType<typeof digestOf>,
  ];
  const ab = digestOf(`${a} ${b}`);
  assert.deepEqual(await chainIdsOf([a, b, c]), [a, ab, digestOf(`${ab} ${c}`)]);
  assert.deepEqual(await chainIdsOf([]), []);
  // printf 'sha256:0… sha256:0…' | sha256sum
  const zeros = parseDigest(`sha256:${"0".repeat(64)}`);
  assert.equal(
    (await chainIdsOf([zeros, zeros]))[1],
    "sha256:1c549100e455eee76a4725b64270b19d7fa7aea704960d46363fffa8732d51b8",
  );
});
