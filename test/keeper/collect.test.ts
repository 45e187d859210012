/** Whoever keeps a store removes what nothing in it needs. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Engine } from "../../src/index.ts";
import { withBusybox } from "../cli/busybox.ts";
import { needs } from "../lib/needs.ts";
import { type Sandbox, top } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");

/** Files below a folder of the store. */
function filesIn(box: Sandbox, folder: string): readonly string[] {
  return readdirSync(join(box.root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
}

test("blobs of an image that somebody forgot go, those of others stay", { skip, timeout: 60_000 }, () =>
  withBusybox(async (box) => {
    const { root, state } = box;
    await using engine = await Engine.open({ root, state, executor: join(top, "dist/gantry-executor") });
    const container = await engine.create({ image: "busybox", command: ["true"] });
    const kept = filesIn(box, "content").length;
    const other = await engine.create({ image: "busybox", command: ["true"] });
    const image = await other.commit({ name: "other:latest" });
    assert.ok(filesIn(box, "content").length > kept, image.id);
    await other.remove();
    // its names are gone, as after a crash in the middle of a removal
    for (const file of readdirSync(join(root, "images"), { recursive: true, withFileTypes: true }))
      if (file.isFile() && file.name.includes("other")) rmSync(join(file.parentPath, file.name));
    const stop = new AbortController();
    const keeping = engine.keep({ collectMs: 50, signal: stop.signal });
    await until("the blobs to go", () => filesIn(box, "content").length === kept, 20_000);
    stop.abort();
    await keeping;
    await container.start({ attach: false });
    assert.equal(await container.wait(), 0);
    await container.remove();
  }),
);
