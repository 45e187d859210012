/** A disk that is full, a store that cannot be written: clear errors, true lists, nothing half-done. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { importBusybox, rootTar } from "../cli/busybox.ts";
import { command, must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { type Sandbox, withSandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");

/** A program that has just ended may hold a mount for a moment longer. */
async function unmount(path: string): Promise<void> {
  await until(`${path} is unmounted`, async () => (await command(["umount", path])).code === 0);
}

/** The store on a file system of its own, of `size`. */
async function withSmallStore(size: string, body: (box: Sandbox) => Promise<void>): Promise<void> {
  await withSandbox(async (box) => {
    await must(["mount", "-t", "tmpfs", "-o", `size=${size},mode=0700`, "tmpfs", box.root]);
    try {
      await body(box);
    } finally {
      await unmount(box.root);
    }
  });
}

test("an image that does not fit is refused with the reason, and nothing of it stays", { skip }, () =>
  withSmallStore("3m", async (box) => {
    const outcome = await box.gantry(["import", await rootTar(), "busybox"]);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /no space left on device/);
    assert.equal(await box.must(["images", "-q"]), "");
    assert.deepEqual(readdirSync(join(box.root, "snapshots/layers")), []);
  }),
);

test("on a full disk a run is refused with the reason, and works again when there is room", { skip }, () =>
  withSmallStore("16m", async (box) => {
    await importBusybox(box);
    await box.must(["create", "--name", "old", "busybox"]);
    const filler = join(box.root, "filler");
    try {
      writeFileSync(filler, Buffer.alloc(32 * 1024 * 1024));
    } catch {
      // as far as it goes: that is the point
    }
    const full = await box.gantry(["run", "--name", "web", "busybox", "true"]);
    assert.equal(full.code, 125);
    assert.match(full.stderr, /^gantry: .*no space left on device/);
    assert.equal(await box.must(["ps", "-a", "--format", "{{.Names}}"]), "old");
    await box.must(["rm", "old"]);
    rmSync(filler);
    assert.equal(await box.must(["run", "--rm", "--name", "web", "busybox", "echo", "fine"]), "fine");
    assert.equal(await box.must(["ps", "-aq"]), "");
  }),
);

test(
  "a container that prints more than the disk holds runs on, and its client sees all of it",
  { skip },
  () =>
    withSmallStore("16m", async (box) => {
      await importBusybox(box);
      const command = [
        "run",
        "--rm",
        "--log-opt",
        "max-size=-1",
        "busybox",
        "sh",
        "-c",
        "head -c 33554432 /dev/zero | tr '\\0' x",
      ];
      const { code, stdout } = await box.gantry(command);
      assert.deepEqual([code, stdout.length], [0, 33_554_432]);
    }),
);

test("a store that cannot be written can be looked at, and says why it cannot run", { skip }, () =>
  withSandbox(async (box) => {
    await importBusybox(box);
    await must(["mount", "--bind", box.root, box.root]);
    try {
      await must(["mount", "-o", "remount,bind,ro", box.root]);
      assert.match(await box.must(["images"]), /busybox/);
      assert.equal(await box.must(["ps", "-aq"]), "");
      assert.equal((await box.gantry(["info"])).code, 0);
      const run = await box.gantry(["run", "--rm", "busybox", "true"]);
      assert.equal(run.code, 125);
      assert.match(run.stderr, /^gantry: .*read-only file system/);
      const remove = await box.gantry(["rmi", "busybox"]);
      assert.equal(remove.code, 1);
      assert.match(remove.stderr, /read-only file system/);
    } finally {
      await unmount(box.root);
    }
    assert.equal(await box.must(["run", "--rm", "busybox", "echo", "fine"]), "fine");
  }),
);

test("a damaged record hides no other container and is told", { skip }, () =>
  withSandbox(async (box) => {
    await importBusybox(box);
    const broken = await box.must(["create", "--name", "broken", "busybox"]);
    await box.must(["create", "--name", "whole", "busybox"]);
    writeFileSync(join(box.root, "containers", broken, "container.json"), '{"version":1,"id":');
    mkdirSync(join(box.root, "containers", "not-an-id"));
    const list = await box.gantry(["ps", "-a", "--format", "{{.Names}}"]);
    assert.deepEqual([list.code, list.stdout], [0, "whole\n"]);
    assert.match(list.stderr, /a container cannot be read/);
    await box.must(["rm", "-f", broken]);
    assert.equal((await box.gantry(["ps", "-a"])).stderr, "");
    await box.must(["create", "--name", "broken", "busybox"]);
    await box.must(["rm", "broken", "whole"]);
  }),
);
