/** What a power cut takes: layers that were in use before they were on the disk. They come back from their blobs. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { withBusybox } from "../cli/busybox.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");

/** Leaves the layers as the next boot finds them if the power went before they were settled: there, but not to be trusted. */
async function loseLayers(box: Sandbox): Promise<void> {
  const layers = join(box.root, "snapshots/layers");
  for (const name of readdirSync(layers)) {
    const at = (file: string) => join(layers, name, file);
    await until("the layer is settled", async () => existsSync(at("synced")));
    rmSync(at("synced"));
    rmSync(at("inherited"), { force: true });
    const record = JSON.parse(readFileSync(at("layer.json"), "utf8"));
    writeFileSync(at("layer.json"), JSON.stringify({ ...record, bootId: "another" }));
    // what the disk had of it by then
    rmSync(at("fs/bin"), { recursive: true, force: true });
  }
}

async function removeBlobs(box: Sandbox, image: string): Promise<void> {
  const manifest = await box.must(["inspect", "-f", "{{.Descriptor.digest}}", image]);
  const path = (digest: string) => join(box.root, "content/blobs", digest.replace(":", "/"));
  for (const { digest } of JSON.parse(readFileSync(path(manifest), "utf8")).layers) rmSync(path(digest));
}

test("run, create and start unpack again what a power cut took", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "before", "busybox", "echo", "started"]);
    await loseLayers(box);
    assert.equal(await box.must(["run", "--rm", "--pull", "never", "busybox", "echo", "run"]), "run");
    await loseLayers(box);
    await box.must(["create", "--name", "after", "busybox", "echo", "created"]);
    assert.equal(await box.must(["start", "-a", "after"]), "created");
    await loseLayers(box);
    assert.equal(await box.must(["start", "-a", "before"]), "started");
    await box.must(["rm", "before", "after"]);
    await box.must(["rmi", "busybox"]);
    assert.deepEqual(readdirSync(join(box.root, "snapshots/layers")), []);
  }),
);

test("a layer whose blob is lost as well is told in a sentence", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "before", "busybox", "true"]);
    await loseLayers(box);
    await removeBlobs(box, "busybox");
    const lost = /unpack layer "sha256:[0-9a-f]{64}" again: its blob is not here any more, pull the image/;
    const never = await box.gantry(["run", "--rm", "--pull", "never", "busybox", "true"]);
    assert.deepEqual([never.code, lost.test(never.stderr)], [125, true], never.stderr);
    const start = await box.gantry(["start", "before"]);
    assert.deepEqual([start.code, lost.test(start.stderr)], [1, true], start.stderr);
    await box.must(["rm", "before"]);
  }),
);
