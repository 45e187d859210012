import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { isGantryError } from "../base/error.ts";
import { sampleBytes } from "../content/contract.ts";
import { digestHex, digestOf } from "../spec/digest.ts";
import { parsePlatform } from "../spec/platform.ts";
import { collectGarbage } from "./garbage.ts";
import { listImages, openImage, openImageContent } from "./image.ts";
import { ImageStore } from "./image-store.ts";
import { importTar } from "./import-tar.ts";
import { tagImage } from "./naming.ts";
import { pullImage } from "./pull.ts";
import { removeImage } from "./remove.ts";
import { blobCount, newStores } from "./testing.ts";

const platform = parsePlatform("linux/amd64");
const [one, two] = [1, 2].map((seed) => sampleBytes(100_000, seed)) as [Buffer, Buffer];

async function storesWithImage() {
  const stores = newStores();
  stores.registry.tags.set("library/app:latest", stores.registry.addImage([one, two]));
  const image = await pullImage(stores, "app", { platform });
  return { stores, image };
}

test("an image is found by name, ID, ID prefix and digest", async () => {
  const { stores, image } = await storesWithImage();
  const hex = digestHex(image.id);
  for (const text of [
    "app",
    "app:latest",
    "docker.io/library/app",
    image.id,
    hex,
    hex.slice(0, 12),
    `sha256:${hex.slice(0, 4)}`,
    image.target.digest,
    image.repoDigests[0]!,
  ]) {
    assert.equal((await openImage(stores, text)).id, image.id, text);
    assert.deepEqual((await openImageContent(stores, text)).chainIds, image.chainIds, text);
  }
  for (const text of [
    "other",
    "app:2",
    "0".repeat(12),
    `sha256:${"0".repeat(64)}`,
    "0".repeat(64),
    `other@${image.target.digest}`,
  ])
    await assert.rejects(openImage(stores, text), (error) => isGantryError(error, "not-found"), text);
  await assert.rejects(openImage(stores, "App"), (error) => isGantryError(error, "invalid-argument"));
});

test("a prefix that fits two images is ambiguous", async () => {
  const stores = newStores();
  const ids: string[] = [];
  for (let seed = 1; ids.length < 2 || !ids.some((id, index) => ids.indexOf(id) !== index); seed++) {
    const image = await importTar(stores, Readable.from([sampleBytes(10, seed)]), {
      created: "2024-01-01T00:00:00Z",
    });
    ids.push(digestHex(image.id)[0]!);
  }
  const twice = ids.find((id, index) => ids.indexOf(id) !== index)!;
  await assert.rejects(
    openImage(stores, twice),
    (error) =>
      isGantryError(error, "failed-precondition") && /images have an ID that begins so/.test(error.message),
  );
});

test("a name that looks like an ID prefix is a name first", async () => {
  const { stores, image } = await storesWithImage();
  await tagImage(stores, "app", "cafe");
  assert.equal((await openImage(stores, "cafe")).id, image.id);
});

test("a further name is the same image; listing shows it once with both", async () => {
  const { stores, image } = await storesWithImage();
  await tagImage(stores, "app", "localhost:5000/mine:2");
  const images = await listImages(stores);
  assert.equal(images.length, 1);
  assert.deepEqual([...images[0]!.repoTags].sort(), ["app:latest", "localhost:5000/mine:2"]);
  assert.equal(images[0]?.id, image.id);
  await assert.rejects(tagImage(stores, "app", `x@${digestOf("y")}`), (error) =>
    isGantryError(error, "invalid-argument"),
  );
  await assert.rejects(tagImage(stores, "absent", "x"), (error) => isGantryError(error, "not-found"));
});

test("removing a name keeps the image while it has others, then takes everything", async () => {
  const { stores, image } = await storesWithImage();
  await tagImage(stores, "app", "two");
  assert.deepEqual(await removeImage(stores, "app"), {
    untagged: ["app:latest"],
    deleted: [],
    freedBytes: 0,
  });
  assert.equal(await blobCount(stores), 4);
  const removed = await removeImage(stores, "two");
  assert.deepEqual(removed.untagged, ["two:latest"]);
  assert.deepEqual([...removed.deleted].sort(), [image.id, ...image.chainIds].sort());
  assert.ok(removed.freedBytes > 0);
  assert.equal(await blobCount(stores), 0);
  assert.equal(stores.layers.layers.size, 0);
  await assert.rejects(removeImage(stores, "two"), (error) => isGantryError(error, "not-found"));
});

test("removing by ID an image of several repositories must be forced", async () => {
  const { stores, image } = await storesWithImage();
  await tagImage(stores, "app", "other");
  await assert.rejects(
    removeImage(stores, image.id),
    (error) => isGantryError(error, "failed-precondition") && /multiple repositories/.test(error.message),
  );
  const removed = await removeImage(stores, digestHex(image.id).slice(0, 12), { force: true });
  assert.deepEqual([...removed.untagged].sort(), ["app:latest", "other:latest"]);
});

test("removing by ID an image with several tags of one repository takes them all", async () => {
  const { stores, image } = await storesWithImage();
  await tagImage(stores, "app", "app:2");
  assert.equal((await removeImage(stores, image.id)).untagged.length, 2);
});

test("an image in use is not removed, but may lose a name that is not its last", async () => {
  const { stores } = await storesWithImage();
  const usedBy = async () => ["c0ffee"];
  await assert.rejects(
    removeImage(stores, "app", { usedBy }),
    (error) => isGantryError(error, "failed-precondition") && /used by container c0ffee/.test(error.message),
  );
  await tagImage(stores, "app", "two");
  assert.deepEqual((await removeImage(stores, "app", { usedBy })).untagged, ["app:latest"]);
});

test("garbage collection leaves what leases claim and what others hold", async () => {
  const { stores, image } = await storesWithImage();
  const [lower, upper] = image.chainIds;
  const layerBlob = image.manifest.layers[1]!.digest;
  {
    using lease = stores.leases.open();
    lease.claim(layerBlob, upper!);
    await removeImage({ ...stores, held: async () => [lower!] }, "app");
    assert.equal(await blobCount(stores), 1);
    assert.ok(await stores.content.info(layerBlob));
    assert.deepEqual([...stores.layers.layers.keys()].sort(), [...image.chainIds].sort());
  }
  const garbage = await collectGarbage(stores);
  assert.deepEqual([garbage.blobs, [...garbage.layers].sort()], [[layerBlob], [...image.chainIds].sort()]);
});

test("a claim made while a collection runs is respected", async () => {
  const { stores, image } = await storesWithImage();
  const lease = stores.leases.open();
  const { remove } = stores.content;
  // the claim comes between the look at the roots and the removal
  stores.content.remove = async (digest, options) => {
    lease.claim(...image.manifest.layers.map((layer) => layer.digest));
    return await remove.call(stores.content, digest, options);
  };
  stores.images.remove("docker.io/library/app:latest");
  await collectGarbage(stores);
  for (const layer of image.manifest.layers) assert.ok(await stores.content.info(layer.digest));
  lease[Symbol.dispose]();
});

test("a pull during collections ends with a whole image", async () => {
  const { stores } = await storesWithImage();
  stores.layers.layers.clear();
  stores.images.remove("docker.io/library/app:latest");
  const pulling = pullImage(stores, "app", { platform });
  while (
    await Promise.race([pulling.then(() => false), new Promise((resolve) => setImmediate(resolve, true))])
  )
    await collectGarbage(stores);
  const image = await pulling;
  for (const layer of image.manifest.layers) assert.ok(await stores.content.info(layer.digest), "blob");
  for (const chainId of image.chainIds) assert.ok(await stores.layers.has(chainId), "layer");
});

test("a lease of a process that was killed counts no longer", async () => {
  const { stores } = await storesWithImage();
  const source = `import { Leases } from ${JSON.stringify(new URL("./leases.ts", import.meta.url).href)};
    new Leases(${JSON.stringify(join(stores.root, "leases"))}).open().claim("${digestOf("kept")}");
    process.kill(process.pid, "SIGKILL");`;
  const script = join(stores.root, "holder.ts");
  writeFileSync(script, source);
  spawnSync(process.execPath, [script]);
  assert.equal(readdirSync(join(stores.root, "leases")).length, 1);
  assert.equal(stores.leases.claimed().size, 0);
  assert.deepEqual(readdirSync(join(stores.root, "leases")), []);
});

test("a tar becomes an image of one layer, the same one each time if the time is fixed", async () => {
  const stores = newStores();
  const options = {
    name: "imported:1",
    execution: { Cmd: ["sh"], Env: ["A=b"] },
    created: "2024-01-01T00:00:00Z",
    platform,
  };
  const image = await importTar(stores, Readable.from([one.subarray(0, 10), one.subarray(10)]), options);
  assert.deepEqual(image.repoTags, ["imported:1"]);
  assert.deepEqual(image.diffIds, [digestOf(one)]);
  assert.deepEqual(image.imageConfig.config, { Cmd: ["sh"], Env: ["A=b"] });
  assert.equal(stores.layers.layers.get(image.chainIds[0]!)?.tarBytes, one.length);
  assert.equal((await importTar(stores, Readable.from([one]), options)).id, image.id);
  const packed = await importTar(stores, Readable.from([gzipSync(one)]), { ...options, name: "packed" });
  assert.deepEqual(packed.diffIds, image.diffIds);
  assert.match(packed.manifest.layers[0]!.mediaType, /tar\+gzip$/);
  const untagged = await importTar(stores, Readable.from([two]), { platform });
  assert.deepEqual(untagged.repoTags, []);
  assert.deepEqual((await listImages(stores)).length, 3);
});

test("an import that fails leaves no name and no lease", async () => {
  const stores = newStores();
  const broken = Readable.from([gzipSync(one).subarray(0, 5000)]);
  await assert.rejects(importTar(stores, broken, { name: "x" }), (error) =>
    isGantryError(error, "data-loss"),
  );
  await assert.rejects(
    importTar(stores, Readable.from([]), { name: "x" }),
    (error) => isGantryError(error, "data-loss") && /it is empty/.test(error.message),
  );
  assert.deepEqual(stores.images.list(), []);
  assert.equal(await blobCount(stores), 0);
});

test("a record that a power cut has emptied is reported and passed over", async () => {
  const { stores } = await storesWithImage();
  const [file] = readdirSync(join(stores.root, "images"));
  await tagImage(stores, "app", "two");
  writeFileSync(join(stores.root, "images", file!), "");
  const broken: string[] = [];
  const images = new ImageStore(join(stores.root, "images"), { onBroken: (path) => broken.push(path) });
  assert.deepEqual(
    images.list().map(({ name }) => name),
    ["docker.io/library/two:latest"],
  );
  assert.equal(stores.images.get("docker.io/library/app:latest"), undefined);
  assert.deepEqual(broken, [join(stores.root, "images", file!)]);
});
