/**
 * SIGKILL to whoever takes part in a start, at every sync point and at random moments: what is found
 * afterwards is a container in a true state, or nothing; and never a process that nobody knows of.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { findExecutor } from "../../src/launch/executor.ts";
import { recover } from "../../src/tasks/recover.ts";
import { taskState } from "../../src/tasks/task-state.ts";
import { childrenOf } from "../lib/children.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { start, withDir } from "../shim/container.ts";
import { isOver } from "../shim/reading.ts";

const pids = "/sys/fs/cgroup/pids";
const root = { skip: needs("root", `${pids}/cgroup.procs`), timeout: 120_000 };
const syncs = ["created", "network", "ready"] as const;

/** Processes whose command line or environment holds `mark`, besides this one. */
function marked(mark: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark) && !isOver(pid);
      } catch {
        return false;
      }
    });
}

/** All is told and all is gone: state, processes, cgroup. Brings a lost container to its end first. */
async function settle(dir: string, mark: string, cgroup: string): Promise<"nothing" | "exited"> {
  const state = await until("an executor that undoes to be done", () => {
    const now = taskState(dir);
    // a shim that runs on is a container that runs on: the test ends it
    if (now.kind === "running" && !isOver(now.start.init.pid)) process.kill(now.start.init.pid, "SIGKILL");
    return now.kind !== "running" && now;
  });
  const cleanup = {
    host: [],
    child: [],
    cleanup: [{ op: "remove-cgroup", where: "", mount: pids, path: cgroup } as const],
  };
  if (state.kind === "lost") await recover(dir, { executor: findExecutor(), cleanup });
  await until("every process of the container to end", () => marked(mark).length === 0);
  const end = taskState(dir);
  assert.ok(end.kind === "created" || end.kind === "exited", end.kind);
  return end.kind === "created" ? "nothing" : "exited";
}

/** A container in a cgroup of its own whose command line holds a mark. */
function marking(name: string) {
  const mark = `98${process.pid}.${name}`;
  const cgroup = `/gantry-robust-${process.pid}-${name}`;
  return { mark, cgroup, cgroups: [{ mount: pids, path: cgroup }], args: ["sleep", mark] };
}

for (const point of syncs) {
  test(`SIGKILL of the launching program at ${point} undoes the start`, root, () =>
    withDir(async (dir) => {
      const { mark, cgroup, cgroups, args } = marking(`launcher${syncs.indexOf(point)}`);
      const script = `
        const { start } = await import(${JSON.stringify(join(import.meta.dirname, "../shim/container.ts"))});
        await start(${JSON.stringify(dir)}, ${JSON.stringify(args)}, {
          syncs: ${JSON.stringify(syncs)}, cgroups: ${JSON.stringify(cgroups)},
          onSync: (point) => { if (point === ${JSON.stringify(point)}) process.kill(process.pid, "SIGKILL"); },
        });`;
      const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "inherit", "inherit"] });
      const signal = await new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
      assert.equal(signal, "SIGKILL");
      await until(
        "the executor to undo",
        () => !existsSync(`${pids}${cgroup}`) && !existsSync(join(dir, "start.json")),
      );
      assert.equal(await settle(dir, mark, cgroup), "nothing");
    }),
  );

  test(`SIGKILL of the executor at ${point} is undone by its controller`, root, () =>
    withDir(async (dir) => {
      const { mark, cgroup, cgroups, args } = marking(`executor${syncs.indexOf(point)}`);
      const before = new Set(childrenOf(process.pid));
      await assert.rejects(
        start(dir, args, {
          syncs,
          cgroups,
          onSync: (reached) => {
            if (reached !== point) return;
            for (const pid of childrenOf(process.pid)) if (!before.has(pid)) process.kill(pid, "SIGKILL");
          },
        }),
        /the executor ended without a report|ECONNRESET|connection reset|EPIPE/,
      );
      await until("the child to give up", () => marked(mark).length === 0);
      assert.equal(await settle(dir, mark, cgroup), "nothing");
      assert.equal(existsSync(`${pids}${cgroup}`), false);
    }),
  );

  test(`an abort at ${point} passes its reason on when all is undone`, root, () =>
    withDir(async (dir) => {
      const { mark, cgroup, cgroups, args } = marking(`abort${syncs.indexOf(point)}`);
      const controller = new AbortController();
      const reason = new Error("changed my mind");
      await assert.rejects(
        start(dir, args, {
          syncs,
          cgroups,
          signal: controller.signal,
          onSync: (reached) => {
            if (reached === point) controller.abort(reason);
          },
        }),
        (error) => error === reason,
      );
      assert.equal(existsSync(`${pids}${cgroup}`), false);
      assert.equal(await settle(dir, mark, cgroup), "nothing");
    }),
  );
}

/** How long a start takes here and now. */
async function timeOfStart(dir: string): Promise<number> {
  const begun = performance.now();
  const { task } = await start(dir, ["sleep", "100"]);
  const ms = performance.now() - begun;
  await task.kill(9);
  await task.wait();
  return ms;
}

test(
  "SIGKILL of the executor at random moments of a start never leaves a process that nobody knows of",
  root,
  () =>
    withDir(async (top) => {
      const ends = { nothing: 0, exited: 0 };
      const wholeMs = await timeOfStart(join(top, "whole"));
      for (let round = 0; round < 60; round++) {
        const dir = join(top, String(round));
        mkdirSync(dir);
        const { mark, cgroup, cgroups, args } = marking(`random${round}`);
        const before = new Set(childrenOf(process.pid));
        const starting = start(dir, args, { cgroups }).catch(() => undefined);
        const end = performance.now() + ((round % 20) / 20) * wholeMs * 1.5;
        while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
        for (const pid of childrenOf(process.pid)) if (!before.has(pid)) process.kill(pid, "SIGKILL");
        await starting;
        ends[await settle(dir, mark, cgroup)]++;
        assert.equal(existsSync(`${pids}${cgroup}`), false);
      }
      console.log(`    ${ends.nothing} never began, ${ends.exited} were recovered`);
    }),
);
