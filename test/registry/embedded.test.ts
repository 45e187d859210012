/** Other engines' tools against our registry: what they push we serve, what we push they pull. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { startContainerd } from "../../bench/peers/containerd.ts";
import { openDockerd } from "../../bench/peers/dockerd.ts";
import { tagImage } from "../../src/images/naming.ts";
import { pushImage } from "../../src/images/push.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import { serveRegistry } from "../../src/registry/server.ts";
import { parseReference } from "../../src/spec/reference.ts";
import { must } from "../lib/command.ts";
import { busyboxLayout } from "../lib/fixtures.ts";
import { needs } from "../lib/needs.ts";
import { inLayout, skopeoCopy } from "../lib/skopeo.ts";
import { pushRandom, pushWithSkopeo } from "./samples.ts";
import { pull, storesAt, withFolder } from "./stores.ts";

const at = (address: string, name: string) => ({ location: `docker://${address}/${name}`, login: false });

test(
  "skopeo pushes an index with two platforms, and copies it on unchanged",
  { skip: needs("skopeo", "tar") },
  async () =>
    await withFolder(async (folder) => {
      await using server = await serveRegistry({ root: join(folder, "registry") });
      await pushWithSkopeo(folder, at(server.address, "team/app:1"), {
        architectures: ["amd64", "arm64"],
        all: true,
      });
      await skopeoCopy(at(server.address, "team/app:1"), inLayout(join(folder, "copy"), "latest"), {
        all: true,
      });
      // two configs, six layers, two manifests, the index
      assert.equal(readdirSync(join(folder, "copy/blobs/sha256")).length, 11);
      using client = new RegistryClient();
      const { descriptor } = await client.resolve(parseReference(`${server.address}/team/app:1`));
      assert.ok(readdirSync(join(folder, "copy/blobs/sha256")).includes(descriptor.digest.slice(7)));
      const tags = JSON.parse(
        await must(["skopeo", "list-tags", "--tls-verify=false", `docker://${server.address}/team/app`]),
      ) as { Tags: string[] };
      assert.deepEqual(tags.Tags, ["1"]);
    }),
);

test(
  "skopeo verifies what our client pushed",
  { skip: needs("skopeo") },
  async () =>
    await withFolder(async (folder) => {
      await using server = await serveRegistry({ root: join(folder, "registry") });
      const { manifest } = await pushRandom(`${server.address}/ours:1`, [100_000, 5000]);
      await skopeoCopy(at(server.address, "ours:1"), inLayout(join(folder, "copy"), "latest"));
      assert.ok(readdirSync(join(folder, "copy/blobs/sha256")).includes(manifest.digest.slice(7)));
    }),
);

test(
  "podman pulls from our registry and pushes back to it",
  { skip: needs("root", "podman") },
  async () =>
    await withFolder(async (folder) => {
      await using server = await serveRegistry({ root: join(folder, "registry") });
      await pushWithSkopeo(folder, at(server.address, "app:1"));
      const podman = [
        "podman",
        "--root",
        join(folder, "root"),
        "--runroot",
        join(folder, "run"),
        "--storage-driver",
        "vfs",
      ];
      await must([...podman, "pull", "--quiet", "--tls-verify=false", `${server.address}/app:1`], {
        timeoutMs: 110_000,
      });
      await must(
        [
          ...podman,
          "push",
          "--quiet",
          "--tls-verify=false",
          `${server.address}/app:1`,
          `${server.address}/back:1`,
        ],
        { timeoutMs: 110_000 },
      );
      const image = await pull(storesAt(join(folder, "store")), `${server.address}/back:1`);
      assert.equal(image.chainIds.length, 3);
    }),
);

test(
  "ctr pulls from our registry and pushes back to it",
  {
    skip: needs("root", "containerd", "ctr", "tar", "/bin/busybox"),
  },
  async () =>
    await withFolder(async (folder) => {
      await using server = await serveRegistry({ root: join(folder, "registry") });
      await pushRandom(`${server.address}/app:1`, [300_000, 1000]);
      await using containerd = await startContainerd(join(folder, "containerd"));
      const images = (...args: string[]) =>
        must(["ctr", "-a", containerd.socket, "images", ...args], { timeoutMs: 60_000 });
      // fetches without unpacking: the layers hold no tar
      await must(
        ["ctr", "-a", containerd.socket, "content", "fetch", "--plain-http", `${server.address}/app:1`],
        { timeoutMs: 60_000 },
      );
      await images("tag", `${server.address}/app:1`, `${server.address}/back:1`);
      await images("push", "--plain-http", `${server.address}/back:1`);
      const image = await pull(storesAt(join(folder, "store")), `${server.address}/back:1`);
      assert.equal(image.chainIds.length, 2);
    }),
);

test(
  "docker pulls from our registry and pushes back to it",
  {
    skip: needs("root", "dockerd", "docker", "containerd", "skopeo", "/bin/busybox"),
  },
  async () =>
    await withFolder(async (folder) => {
      await using server = await serveRegistry({ root: join(folder, "registry") });
      await skopeoCopy(inLayout(await busyboxLayout(), "latest"), at(server.address, "app:1"));
      await using dockerd = await openDockerd(join(folder, "docker"), await busyboxLayout());
      const docker = (...args: string[]) =>
        must(["docker", "--host", `unix://${join(folder, "docker/docker.sock")}`, ...args], {
          timeoutMs: 60_000,
        });
      await dockerd.pull(`${server.address}/app:1`);
      await docker("tag", `${server.address}/app:1`, `${server.address}/back:1`);
      await docker("push", "--quiet", `${server.address}/back:1`);
      const image = await pull(storesAt(join(folder, "store")), `${server.address}/back:1`);
      assert.match(image.manifest.mediaType, /docker\.distribution\.manifest\.v2/);
      assert.equal(image.chainIds.length, 1);
    }),
);

test("a registry that is started again on the same folder serves what it had", async () =>
  await withFolder(async (folder) => {
    const first = await serveRegistry({ root: join(folder, "registry") });
    await pushRandom(`${first.address}/kept:1`, [50_000]);
    await first.close();
    await using second = await serveRegistry({ root: join(folder, "registry") });
    const image = await pull(storesAt(join(folder, "store")), `${second.address}/kept:1`);
    assert.equal(image.chainIds.length, 1);
  }));

test(
  "what we pulled from one registry and tagged is pushed to another, with the same digest",
  { skip: needs("skopeo", "tar") },
  async () =>
    await withFolder(async (folder) => {
      await using server = await serveRegistry({ root: join(folder, "registry") });
      await using other = await serveRegistry({ root: join(folder, "other") });
      await pushWithSkopeo(folder, at(server.address, "app:1"));
      const stores = storesAt(join(folder, "store"));
      const image = await pull(stores, `${server.address}/app:1`);
      await tagImage(stores, `${server.address}/app:1`, `${other.address}/moved:2`);
      using registry = new RegistryClient();
      const phases: string[] = [];
      const push = async () => {
        phases.length = 0;
        return await pushImage({ ...stores, registry }, `${other.address}/moved:2`, {
          onProgress: (event) => phases.push(event.kind === "blob" ? event.phase : event.kind),
        });
      };
      assert.equal((await push()).digest, image.manifestDescriptor.digest);
      assert.equal(phases.filter((phase) => phase === "Pushed").length, 4);
      await push();
      assert.equal(phases.filter((phase) => phase === "Layer already exists").length, 4);
      const again = await pull(storesAt(join(folder, "second")), `${other.address}/moved:2`);
      assert.equal(again.id, image.id);
    }),
);
