/** Ending everything in a cgroup, on every kind of hierarchy that the machine has. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { killCgroup } from "../../src/tasks/kill-cgroup.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";

const kinds = {
  "v1 without a freezer": "/sys/fs/cgroup/pids",
  "the v1 freezer": "/sys/fs/cgroup/freezer",
  "v2 of a hybrid machine": "/sys/fs/cgroup/unified",
  v2: "/sys/fs/cgroup",
};

const members = (dir: string) => readFileSync(join(dir, "cgroup.procs"), "utf8").split("\n").filter(Boolean);

for (const [kind, mount] of Object.entries(kinds))
  test(`what forks on and on in nested cgroups is ended: ${kind}`, {
    skip: needs("root", `${mount}/cgroup.procs`),
    timeout: 30_000,
  }, async () => {
    const dir = join(mount, `gantry-kill-test-${process.pid}`);
    const below = join(dir, "below");
    mkdirSync(below, { recursive: true });
    const script = (place: string) =>
      `echo $$ > ${place}/cgroup.procs; trap "" TERM; while :; do sleep 0.01 & sleep 0.005; done`;
    const forkers = [dir, below].map((place) => spawn("sh", ["-c", script(place)], { stdio: "ignore" }));
    try {
      await until("both to fork", () => members(dir).length > 1 && members(below).length > 1);
      await killCgroup(dir);
      assert.deepEqual([...members(dir), ...members(below)], []);
      await killCgroup(dir);
    } finally {
      for (const child of forkers) child.kill("SIGKILL");
      await until("the cgroups to be free", () => [...members(dir), ...members(below)].length === 0);
      rmdirSync(below);
      rmdirSync(dir);
    }
    await killCgroup(dir);
  });
