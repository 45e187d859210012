import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import { readSettings, sizeBytes } from "./settings.ts";

test("sizes are powers of 1024", () => {
  assert.deepEqual(["1", "2k", "3m", "20g", "1T"].map(sizeBytes), [1, 2048, 3 << 20, 20 * 2 ** 30, 2 ** 40]);
});

test("no file sets nothing, and one that is wrong is told with its name", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-settings-"));
  try {
    const path = join(dir, "gantry.json");
    assert.deepEqual(readSettings(path), {});
    writeFileSync(
      path,
      '{ "diskLimit": "20g", "onDiskLimit": "prune", "runtimes": { "kata": "/usr/bin/kata" } }',
    );
    assert.equal(readSettings(path).runtimes?.kata, "/usr/bin/kata");
    for (const text of ['{ "diskLimit": "much" }', '{ "runtimes": { "x": "relative" } }', "{"]) {
      writeFileSync(path, text);
      assert.throws(
        () => readSettings(path),
        (error) => isGantryError(error, "invalid-argument") && error.message.includes(path),
        text,
      );
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
