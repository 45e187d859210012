import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import { sampleBytes } from "../content/contract.ts";
import { chainIdsOf } from "../spec/chain-id.ts";
import { digestOf } from "../spec/digest.ts";
import { parsePlatform } from "../spec/platform.ts";
import { pullImage } from "./pull.ts";
import { restoreLayers } from "./restore-layers.ts";
import { newStores } from "./testing.ts";

async function pulled() {
  const stores = newStores();
  const contents = [1, 2, 3].map((seed) => sampleBytes(50_000, seed));
  stores.registry.tags.set("library/app:latest", stores.registry.addImage(contents));
  const image = await pullImage(stores, "app", { platform: parsePlatform("linux/amd64") });
  assert.deepEqual(image.chainIds, await chainIdsOf(contents.map((content) => digestOf(content))));
  return { stores, image };
}

test("a layer that is missing is unpacked from its blob, and no other, without the registry", async () => {
  const { stores, image } = await pulled();
  const asked = stores.registry.fetched.length;
  const [lowest, middle, top] = image.chainIds.map((chainId) => stores.layers.layers.get(chainId));
  stores.layers.layers.delete(image.chainIds[1]!);
  await restoreLayers(stores, image);
  assert.deepEqual(stores.layers.layers.get(image.chainIds[1]!), middle);
  assert.equal(stores.layers.layers.get(image.chainIds[0]!), lowest, "the others were not touched");
  assert.equal(stores.layers.layers.get(image.chainIds[2]!), top);
  assert.equal(stores.registry.fetched.length, asked);
  assert.equal(stores.leases.claimed().size, 0);
});

test("a layer whose blob is gone, too, is data-loss that names the blob", async () => {
  const { stores, image } = await pulled();
  const blob = image.manifest.layers[2]!.digest;
  stores.layers.layers.delete(image.chainIds[2]!);
  await stores.content.remove(blob);
  await assert.rejects(
    restoreLayers(stores, image),
    (error) => isGantryError(error, "data-loss") && error.detail.digest === blob,
  );
});
