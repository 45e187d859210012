import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { isGantryError } from "./error.ts";
import { lockFile, tryLockFile } from "./lock.ts";

const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-lock-"));
  return { dir, path: join(dir, "x"), [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
};

test("one holder at a time, also within a process; nothing is left afterwards", async () => {
  using place = folder();
  let inside = 0;
  let most = 0;
  const once = async () => {
    using _ = await lockFile(place.path);
    most = Math.max(most, ++inside);
    await new Promise((later) => setTimeout(later, 2));
    inside--;
  };
  await Promise.all(Array.from({ length: 8 }, once));
  assert.equal(most, 1);
  assert.deepEqual(readdirSync(place.dir), []);
});

test("the lock of a dead process is broken, that of a live or unknown one is not", async () => {
  using place = folder();
  const script = `const { tryLockFile } = await import(${JSON.stringify(join(import.meta.dirname, "lock.ts"))});
    if (!tryLockFile(process.argv.at(-1))) process.exit(3); process.kill(process.pid, "SIGKILL");`;
  const child = spawnSync(process.execPath, ["-e", script, place.path]);
  assert.equal(child.signal, "SIGKILL", child.stderr.toString());
  const dead = readlinkSync(place.path);
  {
    using lock = tryLockFile(place.path);
    assert.ok(lock, "the lock of the dead was not broken");
    assert.equal(tryLockFile(place.path), undefined);
  }
  writeFileSync(place.path, "garbage");
  assert.equal(tryLockFile(place.path), undefined);
  rmSync(place.path);
  // a slow process that has seen the dead lock must not remove the next owner's
  symlinkSync(dead, place.path);
  using second = tryLockFile(place.path);
  assert.ok(second);
  assert.equal(tryLockFile(place.path), undefined);
});

test("many processes that die with the lock or give it back never hold it together", async () => {
  using place = folder();
  const log = join(place.dir, "log");
  const script = `
    const { lockFile } = await import(${JSON.stringify(join(import.meta.dirname, "lock.ts"))});
    const { appendFileSync } = await import("node:fs");
    for (let i = 0; i < 15; i++) {
      const lock = await lockFile(${JSON.stringify(place.path)});
      appendFileSync(${JSON.stringify(log)}, "in\\n");
      if (i === 14 && process.pid % 2) process.kill(process.pid, "SIGKILL");
      appendFileSync(${JSON.stringify(log)}, "out\\n");
      lock[Symbol.dispose]();
    }`;
  await Promise.all(
    Array.from(
      { length: 6 },
      () =>
        new Promise((done) => spawn(process.execPath, ["-e", script], { stdio: "inherit" }).on("exit", done)),
    ),
  );
  const lines = readFileSync(log, "utf8").trim().split("\n");
  assert.equal(lines.filter((line) => line === "in").length, 90);
  // two "in" in a row happen only after a death
  const overlaps = lines.filter((line, index) => line === "in" && lines[index - 1] === "in").length;
  assert.ok(overlaps <= 6, `${overlaps} overlaps`);
  assert.equal(lines.filter((line, index) => line === "out" && lines[index - 1] === "out").length, 0);
});

test("waiting ends with the deadline or the abort", async () => {
  using place = folder();
  using lock = tryLockFile(place.path);
  assert.ok(lock);
  await assert.rejects(lockFile(place.path, { timeoutMs: 20 }), (error) =>
    isGantryError(error, "unavailable"),
  );
  await assert.rejects(lockFile(place.path, { signal: AbortSignal.timeout(10) }), /abort|timed out/i);
});
