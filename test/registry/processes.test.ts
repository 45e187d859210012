/** Several processes on one store, processes that are killed, and what a power cut does to files. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { collectGarbage } from "../../src/images/garbage.ts";
import { openImage } from "../../src/images/image.ts";
import { serveRegistry } from "../../src/registry/server.ts";
import { digestHex } from "../../src/spec/digest.ts";
import { needs } from "../lib/needs.ts";
import { type PushedImage, pushRandom } from "./samples.ts";
import { partials, pull, type Stores, storesAt, withFolder } from "./stores.ts";

interface Scene {
  readonly root: string;
  readonly name: string;
  readonly image: PushedImage;
  readonly stores: Stores;
  /** Blob requests that the registry has seen. */
  readonly requests: readonly string[];
}

async function scene(body: (scene: Scene) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const requests: string[] = [];
    await using server = await serveRegistry({
      root: join(folder, "registry"),
      onRequest: ({ method, path }) => {
        if (method === "GET" && path.includes("/blobs/")) requests.push(path);
      },
    });
    const name = `${server.address}/app:1`;
    const image = await pushRandom(name, [4_000_000, 2_000_000, 1000]);
    const root = join(folder, "store");
    await body({ root, name, image, stores: storesAt(root), requests });
  });
}

interface End {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/** Pulls in another process; gives how it ended. `before` runs first, in a mount namespace of its own. */
function pullElsewhere({ root, name }: Scene, fault?: string, before?: string): Promise<End> {
  const pulling = [process.execPath, join(import.meta.dirname, "pull-child.ts"), root, name];
  const apart = [
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    `${before} && exec "$@"`,
    "sh",
  ];
  const [program = "", ...args] = before === undefined ? pulling : [...apart, ...pulling];
  const child = spawn(program, args, {
    env: { ...process.env, ...(fault ? { GANTRY_FAULT: fault } : {}) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, output }));
  });
}

async function assertWhole({ stores, name, image }: Scene): Promise<void> {
  const found = await openImage(stores, name);
  assert.equal(found.manifestDescriptor.digest, image.manifest.digest);
  for (const { digest, size } of [found.manifest.config, ...found.manifest.layers]) {
    let sizeBytes = 0;
    // a whole read is verified
    for await (const chunk of stores.content.read(digest)) sizeBytes += chunk.length;
    assert.equal(sizeBytes, size);
  }
}

test("processes that pull the same image at once all succeed, and the store holds it once", async () =>
  await scene(async (scene) => {
    const ends = await Promise.all([pullElsewhere(scene), pullElsewhere(scene), pullElsewhere(scene)]);
    for (const { code, output } of ends) assert.equal(code, 0, output);
    assert.equal(new Set(ends.map(({ output }) => output)).size, 1);
    await assertWhole(scene);
    assert.deepEqual(partials(scene.stores), []);
    assert.equal(scene.stores.leases.claimed().size, 0);
    assert.equal(readdirSync(join(scene.root, "content/blobs/sha256")).length, 5);
  }));

for (const fault of ["ingest-half", "ingest-flushed", "ingest-published", "pull-unnamed"])
  test(`a pull that is killed at ${fault} leaves a store that works on`, async () =>
    await scene(async (scene) => {
      const { stores } = scene;
      const { signal } = await pullElsewhere(scene, fault);
      assert.equal(signal, "SIGKILL");
      assert.deepEqual(stores.images.list(), [], "no name for what is not whole");
      for await (const { digest } of stores.content.list())
        for await (const _ of stores.content.read(digest)) {
          // verified as it is read
        }
      await pull(stores, scene.name);
      await assertWhole(scene);
      const garbage = await collectGarbage(stores);
      assert.deepEqual(garbage.blobs, []);
      await stores.content.sweep({ maxAgeMs: 0 });
      assert.deepEqual(partials(stores), []);
      assert.equal(stores.leases.claimed().size, 0);
    }));

test("what a killed pull has downloaded is not downloaded again", async () =>
  await scene(async (scene) => {
    await pullElsewhere(scene, "pull-unnamed");
    const before = scene.requests.length;
    await pull(scene.stores, scene.name);
    assert.deepEqual(scene.requests.slice(before), []);
  }));

test("blobs and partial blobs that a power cut has shortened or emptied are found out and replaced", async () =>
  await scene(async (scene) => {
    const { stores, root, image } = scene;
    await pull(stores, scene.name);
    const blob = (digest: string) => join(root, "content/blobs/sha256", digestHex(digest as never));
    const [big, middle, small] = image.layers;
    for (const path of [big, middle, small, image.manifest].map((descriptor) => blob(descriptor!.digest)))
      chmodSync(path, 0o600);
    truncateSync(blob(big!.digest), 1_000_000);
    // the right length, but zeros: blocks that were allocated and never written
    writeFileSync(blob(middle!.digest), Buffer.alloc(middle!.size));
    truncateSync(blob(small!.digest), 0);
    truncateSync(blob(image.manifest.digest), 10);
    writeFileSync(
      join(root, "content/ingest", `sha256-${digestHex(big!.digest)}.idle.0`),
      Buffer.alloc(1_500_000),
    );
    stores.layers.layers.clear();
    await pull(stores, scene.name);
    await assertWhole(scene);
    assert.deepEqual(partials(stores), []);
  }));

test("a name that a power cut has emptied does not stand in the way of others, and a pull restores it", async () =>
  await scene(async (scene) => {
    const { stores, root } = scene;
    await pull(stores, scene.name);
    const [record] = readdirSync(join(root, "images"));
    truncateSync(join(root, "images", record!), 0);
    assert.deepEqual(stores.images.list(), []);
    await pull(stores, scene.name);
    assert.equal(stores.images.list().length, 1);
    assert.ok(statSync(join(root, "images", record!)).size > 0);
  }));

const ownMounts = needs("root", "unshare");

test(
  "a pull onto a full disk says so and leaves no partial blob",
  { skip: ownMounts },
  async () =>
    await scene(async (scene) => {
      const list = join(scene.root, "../left");
      mkdirSync(scene.root, { recursive: true });
      const mount = `mount -t tmpfs -o size=5m none ${scene.root}`;
      // the file system goes with the process: the listing is taken by a process that outlives the pull
      const look = `${mount} && { ${watchedPull(scene)}; find ${scene.root}/content/ingest -type f >${list}; }`;
      const { output } = await pullElsewhere(scene, undefined, `${look} && exit 1`);
      assert.match(output, /no space left on device/);
      assert.equal(readFileSync(list, "utf8"), "");
    }),
);

test(
  "a pull into a store that cannot be written says so",
  { skip: ownMounts },
  async () =>
    await scene(async (scene) => {
      mkdirSync(scene.root, { recursive: true });
      const { code, output } = await pullElsewhere(
        scene,
        undefined,
        `mount -t tmpfs -o ro none ${scene.root}`,
      );
      assert.equal(code, 1);
      assert.match(output, /read-only file system/);
    }),
);

function watchedPull({ root, name }: Scene): string {
  return `"${process.execPath}" "${join(import.meta.dirname, "pull-child.ts")}" ${root} ${name}`;
}
