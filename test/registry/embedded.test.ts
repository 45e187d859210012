/** Other engines' tools against our registry: what they push we serve, what we push they pull. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { RegistryClient } from "../../src/registry/client.ts";
import { serveRegistry } from "../../src/registry/server.ts";
import { parseReference } from "../../src/spec/reference.ts";
import { must } from "../lib/command.ts";
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

test("a registry that is started again on the same folder serves what it had", async () =>
  await withFolder(async (folder) => {
    const first = await serveRegistry({ root: join(folder, "registry") });
    await pushRandom(`${first.address}/kept:1`, [50_000]);
    await first.close();
    await using second = await serveRegistry({ root: join(folder, "registry") });
    const image = await pull(storesAt(join(folder, "store")), `${second.address}/kept:1`);
    assert.equal(image.chainIds.length, 1);
  }));
