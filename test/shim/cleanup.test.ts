/** Clean-up stages of plans that hold nothing else, as they run when a shim was killed. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { isGantryError } from "../../src/base/error.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { runPlan } from "../../src/launch/launch.ts";
import type { Step } from "../../src/plan/plan.ts";
import { needs } from "../lib/needs.ts";
import { withDir } from "./container.ts";

const where = "";
const pids = "/sys/fs/cgroup/pids";

const run = (...cleanup: readonly Step[]) =>
  runPlan({ host: [], child: [], cleanup }, { executor: findExecutor() });

test("a clean-up goes on after a step that fails, and tells of the first that did", () =>
  withDir(async (dir) => {
    mkdirSync(join(dir, "tree", "below"), { recursive: true });
    await assert.rejects(
      run(
        { op: "remove-cgroup", where, mount: dir, path: "/one" },
        { op: "remove-cgroup", where, mount: join(dir, "missing"), path: "/two" },
        { op: "remove-tree", where, dir, name: "tree" },
      ),
      (error) => {
        assert.ok(isGantryError(error), String(error));
        assert.equal(error.message, `remove-cgroup: ${dir} is not a cgroup mount: invalid argument`);
        assert.equal(error.detail.step, 0);
        return true;
      },
    );
    assert.equal(existsSync(join(dir, "tree")), false);
  }));

test("a cgroup goes with what lives in it and in those below, frozen or not", {
  skip: needs("root", `${pids}/cgroup.procs`, "/sys/fs/cgroup/freezer/cgroup.procs"),
  timeout: 30_000,
}, async () => {
  const path = `/gantry-cleanup-test-${process.pid}`;
  const mounts = [pids, "/sys/fs/cgroup/freezer"];
  const children = ["", "/below", "/below/deep"].map((below) => {
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    for (const mount of mounts) {
      mkdirSync(`${mount}${path}${below}`, { recursive: true });
      writeFileSync(`${mount}${path}${below}/cgroup.procs`, String(child.pid));
    }
    return new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
  });
  writeFileSync(`/sys/fs/cgroup/freezer${path}/below/freezer.state`, "FROZEN");
  try {
    await run(...mounts.toReversed().map((mount): Step => ({ op: "remove-cgroup", where, mount, path })));
  } finally {
    for (const mount of mounts)
      for (const below of ["/below/deep", "/below", ""])
        if (existsSync(`${mount}${path}${below}`)) rmdirSync(`${mount}${path}${below}`);
  }
  assert.deepEqual(await Promise.all(children), ["SIGKILL", "SIGKILL", "SIGKILL"]);
});
