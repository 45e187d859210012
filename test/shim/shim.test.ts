/** What a shim promises about the life of its container, with real processes. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { needs } from "../lib/needs.ts";
import { start, withDir } from "./container.ts";

const root = { skip: needs("root") };

test("the exit status comes over the wait, from the record, and stays after the shim", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["sh", "-c", "exit 7"]);
    const exit = await task.wait();
    assert.equal(exit.code, 7);
    assert.equal(exit.signal, 0);
    assert.equal(exit.oomKilled, false);
    assert.match(exit.exitedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    assert.deepEqual(await task.wait(), exit);
    assert.equal(task.state().kind, "exited");
  }),
);

test("the launching connection shows output from the first byte on", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(dir, ["sh", "-c", "printf one; printf two >&2"], {
      attach: { stdout: true, stderr: true },
    });
    const got = { stdout: "", stderr: "" };
    for await (const { stream, bytes } of attachment!.output) got[stream] += Buffer.from(bytes).toString();
    assert.deepEqual(got, { stdout: "one", stderr: "two" });
    assert.equal((await task.wait()).code, 0);
    assert.equal(existsSync(join(dir, "shim.sock")), false);
    const log = readFileSync(join(dir, "log"), "utf8");
    assert.match(log, /^\{"log":"one","stream":"stdout","time":"[^"]+Z"\}$/m);
    assert.match(log, /^\{"log":"two","stream":"stderr","time":"[^"]+Z"\}$/m);
  }),
);
