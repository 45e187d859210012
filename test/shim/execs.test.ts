/** Execs have shims of their own: that of the container is the same after any number of them. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Engine } from "../../src/engine/engine.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { withBusybox } from "../cli/busybox.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { memoryOf, sanitized, shimPid } from "./reading.ts";

const root = { skip: needs("root"), timeout: 300_000 };

const openEngine = (box: Sandbox) =>
  Engine.open({ root: box.root, state: box.state, executor: findExecutor() });

test("two thousand execs leave the shim of their container as it was", root, () =>
  withBusybox(async (box) => {
    await using engine = await openEngine(box);
    await using container = await engine.run({ image: "busybox", command: ["sleep", "1000"], attach: false });
    const dir = join(box.state, "containers", container.id);
    const descriptors = () => readdirSync(`/proc/${shimPid(dir)}/fd`).length;
    // its answer says that it has come to rest
    await container.kill("CONT");
    const before = { rss: memoryOf(shimPid(dir)).rss, descriptors: descriptors() };
    let left = sanitized ? 150 : 2000;
    const worker = async () => {
      while (left-- > 0) {
        await using exec = await container.exec(["true"]);
        assert.equal(await exec.wait(), 0);
      }
    };
    await Promise.all(Array.from({ length: 6 }, worker));
    assert.ok(descriptors() <= before.descriptors, `${descriptors()} of ${before.descriptors} descriptors`);
    if (!sanitized) assert.ok(memoryOf(shimPid(dir)).rss <= before.rss + 64, "it grew");
    await until("the files of all execs to go", () => readdirSync(join(dir, "execs")).length === 0);
  }),
);

test("what detached execs leave to be asked for is bounded", root, () =>
  withBusybox(async (box) => {
    await using engine = await openEngine(box);
    await using container = await engine.run({ image: "busybox", command: ["sleep", "1000"], attach: false });
    const execs = join(box.state, "containers", container.id, "execs");
    for (let i = 0; i < 200; i++) {
      const exec = await container.exec(["sh", "-c", `exit ${i % 100}`], { detach: true });
      assert.equal(await exec.wait(), i % 100);
      assert.ok(readdirSync(execs).length <= 130, `${readdirSync(execs).length} directories`);
    }
  }),
);
