import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { removeTree } from "./remove-tree.ts";

const files = 300;
const fileAt = (dir: string, index: number) => join(dir, "deep", `${index}`);

/** Removes the files one by one, in the order in which nobody reads them. */
function removeBackwards(dir: string): void {
  for (let index = files - 1; index >= 0; index--) {
    try {
      unlinkSync(fileAt(dir, index));
    } catch {
      // the other was first
    }
  }
}

if (isMainThread) {
  test("a tree is gone, though somebody else removes from it", async () => {
    const top = mkdtempSync(join(tmpdir(), "gantry-remove-"));
    const other = new Worker(import.meta.filename);
    try {
      for (let round = 0; round < 30; round++) {
        const dir = join(top, `${round}`);
        mkdirSync(join(dir, "deep"), { recursive: true });
        for (let index = 0; index < files; index++) writeFileSync(fileAt(dir, index), "");
        const done = new Promise((resolve) => other.once("message", resolve));
        other.postMessage(dir);
        while (existsSync(fileAt(dir, files - 1)));
        removeTree(dir);
        assert.ok(!existsSync(dir));
        await done;
      }
    } finally {
      await other.terminate();
      rmSync(top, { recursive: true, force: true });
    }
  });

  test("a file is removed as a tree is, and nothing is nothing", () => {
    const top = mkdtempSync(join(tmpdir(), "gantry-remove-"));
    writeFileSync(join(top, "file"), "");
    for (const path of [join(top, "file"), join(top, "none"), top]) {
      removeTree(path);
      assert.ok(!existsSync(path));
    }
  });
} else
  parentPort!.on("message", (dir: string) => {
    removeBackwards(dir);
    parentPort!.postMessage("done");
  });
