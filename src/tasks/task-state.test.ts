import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { parseProcStat } from "../linux/proc-stat.ts";
import { readExitRecord, readStartRecord, writeExitRecord } from "./records.ts";
import { taskState } from "./task-state.ts";

function withDir(body: (dir: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), "gantry-task-"));
  try {
    body(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const own = parseProcStat(readFileSync("/proc/self/stat", "utf8"));
const alive = { pid: own.pid, start: own.startTime };

/** A process that existed and is gone, reaped. */
async function deadProcess(): Promise<{ pid: number; start: number }> {
  const child = spawn("sleep", ["100"]);
  const { startTime } = parseProcStat(readFileSync(`/proc/${child.pid}/stat`, "utf8"));
  const end = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await end;
  return { pid: child.pid!, start: startTime };
}
const dead = await deadProcess();

function writeStart(dir: string, init: typeof alive, shim: typeof alive): void {
  const record = {
    id: "c0ffee",
    cgroups: [{ mount: "/sys/fs/cgroup/pids", path: "/gantry/c0ffee" }],
    pid: init.pid,
    pidStart: init.start,
    shim: shim.pid,
    shimStart: shim.start,
    startedAt: "2026-01-02T03:04:05.000000006Z",
  };
  writeFileSync(join(dir, "start.json"), JSON.stringify(record));
}

const exit = { code: 3, signal: 0, exitedAt: "2026-01-02T03:04:06Z", oomKilled: false };

test("an empty or missing directory is that of a created container", () =>
  withDir((dir) => {
    assert.deepEqual(taskState(dir), { kind: "created" });
    assert.deepEqual(taskState(join(dir, "missing")), { kind: "created" });
  }));

test("a container runs while its shim lives, also when its first process has ended", () =>
  withDir((dir) => {
    writeStart(dir, dead, alive);
    const state = taskState(dir);
    assert.ok(state.kind === "running");
    assert.deepEqual(state.start.init, { pid: dead.pid, startTime: dead.start });
    assert.deepEqual(state.start.cgroups, [{ mount: "/sys/fs/cgroup/pids", path: "/gantry/c0ffee" }]);
  }));

test("without its shim and without an exit record a container is lost", () =>
  withDir((dir) => {
    writeStart(dir, alive, dead);
    const state = taskState(dir);
    assert.ok(state.kind === "lost" && state.initAlive);
    writeStart(dir, dead, dead);
    const later = taskState(dir);
    assert.ok(later.kind === "lost" && !later.initAlive);
  }));

test("a pid that belongs to a younger process now is not the shim", () =>
  withDir((dir) => {
    writeStart(dir, dead, { pid: alive.pid, start: alive.start - 1 });
    assert.equal(taskState(dir).kind, "lost");
  }));

test("an exit record is the truth, whatever lives", () =>
  withDir((dir) => {
    writeStart(dir, alive, alive);
    writeExitRecord(dir, exit);
    const state = taskState(dir);
    assert.ok(state.kind === "exited");
    assert.deepEqual(state.exit, exit);
    assert.equal(state.start?.startedAt, "2026-01-02T03:04:05.000000006Z");
    writeExitRecord(dir, { ...exit, code: 137, signal: 9, error: "shim was killed" });
    assert.equal(readExitRecord(dir)?.error, "shim was killed");
  }));

test("a damaged record is an error that names it, never a state", () =>
  withDir((dir) => {
    const path = join(dir, "start.json");
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        writeFileSync(path, text);
        assert.throws(
          () => readStartRecord(dir),
          (error) => isGantryError(error, "invalid-argument") && error.message.includes(path),
        );
      }),
      { numRuns: 200 },
    );
  }));
