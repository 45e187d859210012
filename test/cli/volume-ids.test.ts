/** Volumes of containers that have a user namespace: their ids on the disk are those of the container. */
import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Engine } from "../../src/index.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { needs } from "../lib/needs.ts";
import { withVolumeImages } from "./volume-images.ts";

const limits = { skip: needs("root", "setfattr"), timeout: 60_000 };

const ids = [{ containerID: 0, hostID: 200_000, size: 65_536 }];
const userNamespace = { uidMappings: ids, gidMappings: ids };

test("a volume has the same owners inside, with a user namespace and without", limits, () =>
  withVolumeImages(async (box) => {
    await using engine = await Engine.open({ root: box.root, state: box.state, executor: findExecutor() });
    const shared = join(box.dir, "shared");
    mkdirSync(shared);
    const script =
      "id -u; stat -c %u:%g /data /data/file; touch /data/mine; chown 5:6 /data/mine; cat /proc/self/uid_map";
    const run = async (options: object) => {
      const container = await engine.run({
        image: "plain",
        command: ["sh", "-c", script],
        mounts: [{ kind: "volume", source: "data", target: "/data" }],
        autoRemove: true,
        ...options,
      });
      const text = await container.stdout.text();
      return { text, errors: await container.stderr.text(), code: await container.wait() };
    };
    const mapped = await run({ userNamespace });
    assert.deepEqual([mapped.code, mapped.errors], [0, ""]);
    assert.match(mapped.text, /^0\n12:34\n1000:1001\n +0 +200000 +65536\n$/);
    const { mountpoint } = await engine.volume("data");
    const mine = statSync(join(mountpoint, "mine"));
    assert.deepEqual([mine.uid, mine.gid], [5, 6], "not the host's ids of the namespace");
    const plain = await run({});
    assert.match(plain.text, /^0\n12:34\n1000:1001\n/);
    await engine.removeVolume("data");
    assert.deepEqual(await engine.volumes(), []);
  }),
);

test("the library makes, lists and prunes volumes", limits, () =>
  withVolumeImages(async (box) => {
    await using engine = await Engine.open({ root: box.root, state: box.state, executor: findExecutor() });
    const named = await engine.createVolume({ name: "named", labels: { a: "b" } });
    assert.deepEqual(
      [named.name, named.anonymous, named.usedBy, named.labels],
      ["named", false, [], { a: "b" }],
    );
    const other = await engine.createVolume();
    assert.equal(other.anonymous, true);
    const container = await engine.create({
      image: "declared",
      mounts: [{ kind: "volume", source: "named", target: "/n" }],
    });
    assert.deepEqual((await engine.volume("named")).usedBy, [container.id]);
    await assert.rejects(engine.removeVolume("named"), { code: "failed-precondition" });
    await assert.rejects(engine.volume("nothing"), { code: "not-found" });
    assert.deepEqual((await engine.pruneVolumes()).names, [other.name]);
    await container.remove({ volumes: true });
    assert.deepEqual(
      (await engine.volumes()).map(({ name }) => name),
      ["named"],
    );
    const events: string[] = [];
    for await (const { kind, action, id } of engine.events({ since: new Date(0), until: new Date() }))
      if (kind === "volume") events.push(`${action} ${id.length === 64 ? "anonymous" : id}`);
    assert.deepEqual(events, [
      ...["create named", "create anonymous", "create anonymous", "create anonymous"],
      ...["destroy anonymous", "destroy anonymous", "destroy anonymous"],
    ]);
    await engine.pruneVolumes({ all: true });
    assert.deepEqual(await engine.volumes(), []);
  }),
);
