/** Volumes whatever is killed: content that is whole or not there, and nothing that stays behind. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { withVolumeImages } from "../cli/volume-images.ts";
import { childrenOf } from "../lib/children.ts";
import { command, ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";

const limits = { skip: needs("root", "setfattr"), timeout: 180_000 };
const killed = 137;

const names = async (box: Sandbox) => (await box.must(["volume", "ls", "-q"])).split("\n").filter(Boolean);

/** What lies in the folder of volumes, also what no list shows. */
const entries = (box: Sandbox) =>
  existsSync(join(box.root, "volumes")) ? readdirSync(join(box.root, "volumes")) : [];

for (const point of [
  "create-references",
  "volume-staged",
  "create-volumes",
  "create-populated",
  "create-bundle",
])
  test(`a client killed at ${point} leaves no volume without a name`, limits, () =>
    withVolumeImages(async (box) => {
      const dead = await box.gantry(["create", "--name", "web", "declared"], {
        env: { GANTRY_FAULT: point },
      });
      assert.equal(dead.code, killed);
      assert.deepEqual(await box.must(["ps", "-aq"]), "");
      assert.deepEqual(await names(box), []);
      assert.deepEqual(entries(box), []);
    }),
  );

for (const point of ["discard-record", "discard-snapshot", "discard-volumes", "volume-away", "discard-name"])
  test(
    `a removal with -v killed at ${point} is finished by the next look; one without it keeps volumes`,
    limits,
    () =>
      withVolumeImages(async (box) => {
        await box.must(["create", "--name", "web", "-v", "named:/srv", "declared"]);
        const env = { GANTRY_FAULT: point };
        assert.equal((await box.gantry(["rm", "-v", "web"], { env })).code, killed);
        assert.equal(await box.must(["ps", "-aq"]), "");
        assert.deepEqual(await names(box), ["named"]);
        assert.deepEqual(entries(box), ["named"]);
        await box.must(["create", "--name", "web", "declared"]);
        if (point !== "volume-away") {
          assert.equal((await box.gantry(["rm", "web"], { env })).code, killed);
          assert.equal(await box.must(["ps", "-aq"]), "");
          assert.equal((await names(box)).length, 3);
        }
      }),
  );

test("a copy whose maker is killed is made again or not there, never half", limits, () =>
  withVolumeImages(async (box) => {
    // enough to be caught at it
    await box.must(["run", "--name", "maker", "plain", "true"]);
    const big = join(box.dir, "big");
    mkdirSync(join(big, "many"), { recursive: true });
    for (let index = 0; index < 1000; index++)
      writeFileSync(join(big, "many", `file ${index}`), `${index}\n`);
    await command(["sh", "-c", `tar -C ${big} -cf ${box.dir}/big.tar .`]);
    await box.must(["import", join(box.dir, "big.tar"), "big"]);
    let caught = 0;
    for (let turn = 0; turn < 30 && caught < 2; turn++) {
      const volume = `data${turn}`;
      const folder = join(box.root, "volumes", volume);
      const client = box.spawn(["create", "-v", `${volume}:/many`, "big", "true"]);
      let over = false;
      const end = ended(client).then(() => {
        over = true;
      });
      while (!over && !existsSync(join(folder, "copying"))) await new Promise((later) => setImmediate(later));
      if (!over) {
        for (const pid of childrenOf(client.pid!)) process.kill(pid, "SIGKILL");
        client.kill("SIGKILL");
      }
      await end;
      if (!existsSync(folder)) continue;
      const data = readdirSync(join(folder, "_data")).length;
      assert.ok(data === 0 || data === 1000 || existsSync(join(folder, "copied")), `${data} files`);
      if (data === 0 && existsSync(join(folder, "copying"))) caught++;
      await box.must(["create", "--name", `again${turn}`, "-v", `${volume}:/many`, "big", "true"]);
      assert.equal(readdirSync(join(folder, "_data")).length, 1000);
      assert.equal(readFileSync(join(folder, "_data/file 999"), "utf8"), "999\n");
      assert.deepEqual(readdirSync(folder).sort(), ["_data", "volume.json"]);
    }
    assert.ok(caught > 0, "no copy was caught half-way");
  }),
);

test("a copy that was whole but not moved in yet is moved in", limits, () =>
  withVolumeImages(async (box) => {
    await box.must(["create", "-v", "data:/data", "plain"]);
    const folder = join(box.root, "volumes/data");
    const before = readdirSync(join(folder, "_data")).sort();
    mkdirSync(join(folder, "copied"));
    mkdirSync(join(folder, "links"));
    mkdirSync(join(folder, "copying"));
    for (const name of before.slice(0, 3))
      renameSync(join(folder, "_data", name), join(folder, "copied", name));
    await box.must(["create", "-v", "data:/data", "plain"]);
    assert.deepEqual(readdirSync(join(folder, "_data")).sort(), before);
    assert.ok(!existsSync(join(folder, "copied")));
  }),
);

test("clients that come at once all find the whole content, in one volume", limits, () =>
  withVolumeImages(async (box) => {
    const expected = await box.must(["run", "--rm", "plain", "ls", "-a", "/data"]);
    for (let turn = 0; turn < 3; turn++) {
      const runs = Array.from({ length: 6 }, () =>
        box.must(["run", "--rm", "-v", `data${turn}:/data`, "plain", "ls", "-a", "/data"]),
      );
      for (const listed of await Promise.all(runs)) assert.equal(listed, expected);
    }
    const made = await Promise.all(Array.from({ length: 6 }, () => box.must(["volume", "create", "same"])));
    assert.deepEqual(new Set(made), new Set(["same"]));
    // whoever removes at the same time removes all of it, or nothing
    const both = await Promise.all([
      ...Array.from({ length: 4 }, () =>
        box.gantry(["run", "--rm", "-v", "race:/data", "plain", "ls", "-a", "/data"]),
      ),
      ...Array.from({ length: 4 }, () => box.gantry(["volume", "rm", "-f", "race"])),
    ]);
    for (const { code, stdout, stderr } of both.slice(0, 4))
      assert.deepEqual([code, stdout.trim()], [0, expected], stderr);
    for (const { code, stderr } of both.slice(4))
      assert.ok(code === 0 || /volume is in use/.test(stderr), stderr);
    await box.must(["volume", "prune", "-af"]);
    assert.deepEqual(entries(box), []);
  }),
);

test("what is unreadable hides no other volume", limits, () =>
  withVolumeImages(async (box) => {
    await box.must(["volume", "create", "broken"]);
    await box.must(["volume", "create", "whole"]);
    writeFileSync(join(box.root, "volumes/broken/volume.json"), "{");
    const listed = await box.gantry(["volume", "ls", "-q"]);
    assert.equal(listed.stdout, "whole\n");
    assert.match(listed.stderr, /a volume cannot be read/);
    await box.must(["volume", "rm", "broken"]);
    rmSync(join(box.root, "volumes/whole/volume.json"));
    assert.deepEqual(await names(box), []);
  }),
);
