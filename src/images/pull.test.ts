import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { GantryError, isGantryError } from "../base/error.ts";
import { sampleBytes } from "../content/contract.ts";
import { chainIdsOf } from "../spec/chain-id.ts";
import { digestOf } from "../spec/digest.ts";
import { mediaTypes } from "../spec/media-types.ts";
import { parsePlatform } from "../spec/platform.ts";
import type { PullEvent } from "./progress.ts";
import { pullImage } from "./pull.ts";
import type { PullOptions } from "./pull-options.ts";
import { blobCount, newStores, type TestStores } from "./testing.ts";

const amd64 = parsePlatform("linux/amd64");
const [one, two, three] = [1, 2, 3].map((seed) => sampleBytes(300_000, seed)) as [Buffer, Buffer, Buffer];

async function pull(stores: TestStores, name: string, options: PullOptions = {}) {
  const events: PullEvent[] = [];
  const image = await pullImage(stores, name, {
    platform: amd64,
    onProgress: (event) => events.push(event),
    ...options,
  });
  return { image, events, phases: events.flatMap((event) => (event.kind === "layer" ? [event.phase] : [])) };
}

const withTag = (layers: readonly Buffer[], more: Parameters<TestStores["registry"]["addImage"]>[1] = {}) => {
  const stores = newStores();
  const target = stores.registry.addImage(layers, more);
  stores.registry.tags.set("library/app:latest", target);
  return { stores, target };
};

const layersOf = (stores: TestStores, target: { readonly digest: string }) =>
  JSON.parse(stores.registry.blobs.get(target.digest as never)!.toString()).layers as {
    digest: ReturnType<typeof digestOf>;
    size: number;
    mediaType: string;
  }[];

test("a pull brings documents and layers here, names the image and ends its lease", async () => {
  const { stores, target } = withTag([one, two]);
  const { image, events } = await pull(stores, "app");
  assert.deepEqual(image.repoTags, ["app:latest"]);
  assert.deepEqual(image.repoDigests, [`app@${target.digest}`]);
  assert.deepEqual(image.chainIds, await chainIdsOf([digestOf(one), digestOf(two)]));
  assert.deepEqual(image.imageConfig.config?.Cmd, ["sh"]);
  for (const chainId of image.chainIds) assert.equal(stores.layers.layers.get(chainId)?.tarBytes, 300_000);
  assert.equal(stores.layers.layers.get(image.chainIds[1]!)?.parentChainId, image.chainIds[0]);
  assert.equal(await blobCount(stores), 4, "manifest, config, two layers");
  assert.deepEqual(readdirSync(`${stores.root}/leases`), []);
  assert.deepEqual(
    events.filter((event) => event.kind !== "layer"),
    [
      { kind: "resolving", repository: "app", reference: "app:latest" },
      { kind: "digest", digest: target.digest },
      { kind: "status", changed: true, reference: "app:latest" },
    ],
  );
});

test("one layer goes through its phases in order, and is fetched once", async () => {
  const { stores, target } = withTag([one]);
  const { phases } = await pull(stores, "app");
  const steps = phases.filter((phase, index) => phase !== phases[index - 1]);
  assert.deepEqual(steps, [
    "Pulling fs layer",
    "Downloading",
    "Download complete",
    "Extracting",
    "Verifying Checksum",
    "Pull complete",
  ]);
  assert.equal(stores.registry.fetches(layersOf(stores, target)[0]!), 1);
});

test("pulling again fetches nothing and says so", async () => {
  const { stores } = withTag([one, two]);
  await pull(stores, "app");
  stores.registry.fetched.length = 0;
  const { events, phases } = await pull(stores, "app");
  assert.deepEqual(phases, ["Already exists", "Already exists"]);
  assert.deepEqual(events.at(-1), { kind: "status", changed: false, reference: "app:latest" });
  assert.deepEqual(stores.registry.fetched, []);
});

test("layers whose blob is here are unpacked without the network", async () => {
  const { stores } = withTag([one, two]);
  await pull(stores, "app");
  stores.layers.layers.clear();
  stores.registry.fetched.length = 0;
  const { image } = await pull(stores, "app");
  assert.deepEqual(stores.registry.fetched, []);
  assert.ok(await stores.layers.has(image.chainIds[1]!));
});

test("a blob that was damaged in the store is fetched again", async () => {
  const { stores, target } = withTag([one]);
  await pull(stores, "app");
  stores.layers.layers.clear();
  const [layer] = layersOf(stores, target);
  const { read } = stores.content;
  let damaged = true;
  stores.content.read = (digest, options) => {
    if (digest !== layer!.digest || !damaged) return read.call(stores.content, digest, options);
    damaged = false;
    return (async function* () {
      yield Buffer.alloc(100);
      throw new GantryError("data-loss", "read blob: zeros");
    })();
  };
  const { phases } = await pull(stores, "app");
  assert.ok(phases.includes("Retrying"));
  assert.equal(stores.registry.fetches(layer!), 2);
});

test("layers of other packing, or packed otherwise than labelled, are unpacked by what they are", async () => {
  const stores = newStores();
  const { zstdCompressSync } = await import("node:zlib");
  const layers = [
    stores.registry.add(zstdCompressSync(one), mediaTypes.ociLayerZstd),
    stores.registry.add(two, mediaTypes.dockerLayer),
    stores.registry.add(three, mediaTypes.ociLayerGzip),
  ];
  stores.registry.tags.set(
    "library/app:latest",
    stores.registry.addImage([one, two, three], { manifest: { layers } }),
  );
  const { image } = await pull(stores, "app");
  assert.equal(image.chainIds.length, 3);
});

test("a layer that is twice in the image is fetched once and applied twice", async () => {
  const { stores, target } = withTag([one, one]);
  const { image } = await pull(stores, "app");
  assert.equal(new Set(image.chainIds).size, 2);
  assert.equal(stores.registry.fetches(layersOf(stores, target)[0]!), 1);
  for (const chainId of image.chainIds) assert.ok(await stores.layers.has(chainId));
});

test("bytes that are not the layer's are refused; no name, no layer and no partial blob stay", async () => {
  const { stores, target } = withTag([one]);
  const [layer] = layersOf(stores, target);
  stores.registry.blobs.set(layer!.digest, gzipSync(two, { level: 1 }));
  await assert.rejects(pull(stores, "app"), (error) => isGantryError(error, "data-loss"));
  assert.deepEqual(stores.images.list(), []);
  assert.equal(stores.layers.layers.size, 0);
  await using again = await stores.content.ingest(layer!);
  assert.equal(again.offset, 0);
});

test("a layer that unpacks to something else than its diffID is refused", async () => {
  const { stores } = withTag([one], { config: { rootfs: { type: "layers", diff_ids: [digestOf(two)] } } });
  await assert.rejects(
    pull(stores, "app"),
    (error) => isGantryError(error, "data-loss") && /verify uncompressed layer/.test(error.message),
  );
  assert.equal(stores.layers.layers.size, 0);
});

test("a manifest of the wrong digest is refused", async () => {
  const { stores, target } = withTag([one]);
  stores.registry.blobs.set(target.digest, Buffer.from("{}".padEnd(target.size)));
  await assert.rejects(pull(stores, "app"), (error) => isGantryError(error, "data-loss"));
  assert.equal(await blobCount(stores), 0);
});

test("a config that lists other layers than the manifest is refused", async () => {
  const { stores } = withTag([one], { config: { rootfs: { type: "layers", diff_ids: [] } } });
  await assert.rejects(pull(stores, "app"), /it lists 0 layers, but the manifest 1/);
});

test("a download that breaks off is resumed by the next pull", async () => {
  const { stores, target } = withTag([one]);
  const [layer] = layersOf(stores, target);
  const whole = stores.registry.blobStream;
  stores.registry.blobStream = async function* (bytes, descriptor) {
    if (descriptor.digest !== layer!.digest) return yield* whole(bytes, descriptor);
    yield Buffer.concat([bytes.subarray(0, 290_000)]);
    throw new GantryError("unavailable", "the registry went away");
  };
  await assert.rejects(pull(stores, "app"), /the registry went away/);
  stores.registry.blobStream = whole;
  await pull(stores, "app");
  assert.deepEqual(
    stores.registry.fetched.filter(({ digest }) => digest === layer!.digest).map(({ offset }) => offset),
    [0, 290_000],
  );
});

test("a partial blob that turns out to be torn is thrown away and fetched anew within the same pull", async () => {
  const { stores, target } = withTag([one]);
  const [layer] = layersOf(stores, target);
  {
    await using torn = await stores.content.ingest(layer!);
    await torn.write(Buffer.alloc(200_000));
  }
  const { phases } = await pull(stores, "app");
  assert.ok(phases.includes("Retrying"));
  assert.deepEqual(
    stores.registry.fetched
      .filter(({ digest }) => digest === layer!.digest)
      .map(({ offset }) => offset)
      .at(-1),
    0,
  );
});

test("the first failure stops the other layers and is the one reported", async () => {
  const { stores, target } = withTag([one, two, three]);
  const [, second] = layersOf(stores, target);
  const whole = stores.registry.blobStream;
  stores.registry.blobStream = async function* (bytes, descriptor) {
    if (descriptor.digest === second!.digest) throw new GantryError("permission-denied", "not yours");
    yield* whole(bytes, descriptor);
  };
  await assert.rejects(pull(stores, "app"), (error) => isGantryError(error, "permission-denied"));
  assert.deepEqual(stores.images.list(), []);
});

test("an abort ends the pull with its reason and keeps no lease", async () => {
  const { stores } = withTag([one]);
  const abort = new AbortController();
  const reason = new Error("changed my mind");
  stores.registry.blobStream = async function* (bytes) {
    yield bytes.subarray(0, 100);
    abort.abort(reason);
    yield bytes.subarray(100);
  };
  await assert.rejects(pull(stores, "app", { signal: abort.signal }), reason);
  assert.deepEqual(readdirSync(`${stores.root}/leases`), []);
  assert.deepEqual(stores.images.list(), []);
});

test("a layer bomb is stopped by the ratio and by the absolute limit", async () => {
  const { stores } = withTag([Buffer.alloc(80 * 1024 * 1024)]);
  const bomb = (limits: NonNullable<PullOptions["limits"]>) =>
    assert.rejects(
      pull(stores, "app", { limits }),
      (error) =>
        isGantryError(error, "resource-exhausted") && /expand to more than the limit/.test(error.message),
    );
  await bomb({ ratio: 50 });
  await bomb({ layerBytes: 1_000_000 });
  assert.equal(stores.layers.layers.size, 0);
});

test("the platform is chosen from an index, and the index is kept", async () => {
  const stores = newStores();
  const manifests = [
    {
      ...stores.registry.addImage([two], { config: { architecture: "arm64" } }),
      platform: { os: "linux", architecture: "arm64" },
    },
    { ...stores.registry.addImage([one]), platform: { os: "linux", architecture: "amd64" } },
  ];
  const target = stores.registry.add({ schemaVersion: 2, manifests }, mediaTypes.ociIndex);
  stores.registry.tags.set("library/app:latest", target);
  const { image } = await pull(stores, "app");
  assert.deepEqual(image.diffIds, [digestOf(one)]);
  assert.equal(image.target.digest, target.digest);
  assert.deepEqual(image.repoDigests, [`app@${target.digest}`]);
  assert.ok(await stores.content.info(target.digest));
  const arm = await pull(stores, "app", { platform: parsePlatform("linux/arm64") });
  assert.deepEqual(arm.image.diffIds, [digestOf(two)]);
  await assert.rejects(
    pull(stores, "app", { platform: parsePlatform("linux/s390x") }),
    (error) =>
      isGantryError(error, "not-found") && /no matching manifest for linux\/s390x/.test(error.message),
  );
});

test("a single image of another platform is refused if the platform was asked for, else a warning", async () => {
  const { stores } = withTag([one], { config: { architecture: "mips" } });
  await assert.rejects(
    pull(stores, "app"),
    (error) =>
      isGantryError(error, "not-found") && /for linux\/mips, not for linux\/amd64/.test(error.message),
  );
  const { platform: _, ...options } = { platform: undefined };
  const events: PullEvent[] = [];
  await pullImage(stores, "app", { ...options, onProgress: (event) => events.push(event) });
  assert.ok(events.some((event) => event.kind === "warning" && /linux\/mips/.test(event.message)));
});

test("what is no container image is refused by name", async () => {
  const stores = newStores();
  const config = stores.registry.add({}, mediaTypes.ociEmpty);
  stores.registry.tags.set("library/app:latest", stores.registry.addImage([], { manifest: { config } }));
  await assert.rejects(pull(stores, "app"), /it is no container image/);
  stores.registry.tags.set("library/app:latest", {
    mediaType: mediaTypes.dockerSchema1,
    digest: digestOf("x"),
    size: 1,
  });
  await assert.rejects(pull(stores, "app"), (error) => isGantryError(error, "unimplemented"));
  const layers = [stores.registry.add(one, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted")];
  stores.registry.tags.set("library/app:latest", stores.registry.addImage([one], { manifest: { layers } }));
  await assert.rejects(
    pull(stores, "app"),
    (error) => isGantryError(error, "unimplemented") && /no layer that can be unpacked/.test(error.message),
  );
});

test("a tag that moves leaves the old image untagged", async () => {
  const { stores } = withTag([one]);
  const { image: old } = await pull(stores, "app");
  stores.registry.tags.set("library/app:latest", stores.registry.addImage([two]));
  const { image } = await pull(stores, "app");
  assert.notEqual(image.id, old.id);
  assert.deepEqual(
    stores.images.list().map(({ name }) => name),
    ["docker.io/library/app:latest", old.manifestDescriptor.digest],
  );
});

test("a layer that cannot be unpacked fails at once, though the registry has fallen silent", async () => {
  const { stores } = withTag([sampleBytes(3_000_000)]);
  const whole = stores.registry.blobStream;
  let released = false;
  stores.registry.blobStream = async function* (bytes, descriptor) {
    if (bytes.length < 1_000_000) return yield* whole(bytes, descriptor);
    yield bytes.subarray(0, 1_000_000);
    const silence = Promise.withResolvers<void>();
    const timer = setTimeout(silence.resolve, 20_000);
    try {
      await Promise.race([silence.promise, stores.registry.aborted]);
    } finally {
      clearTimeout(timer);
      released = true;
    }
  };
  stores.layers.apply = async ({ tar }) => {
    for await (const _ of tar) throw new GantryError("invalid-argument", "apply layer: member is nonsense");
  };
  const started = performance.now();
  await assert.rejects(pull(stores, "app"), /member is nonsense/);
  assert.ok(released && performance.now() - started < 10_000);
});
