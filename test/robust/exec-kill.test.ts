/** kill -9 of whoever takes part in an exec, at any moment: no process and no file of it is left, the container runs on. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withBusybox } from "../cli/busybox.ts";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const root = { skip: needs("root"), timeout: 120_000 };

interface Running {
  readonly execs: string;
  /** Processes of the container besides its first, by their names. */
  readonly others: () => Promise<readonly string[]>;
}

async function withContainer(body: (box: Sandbox, running: Running) => Promise<void>): Promise<void> {
  await withBusybox(async (box) => {
    const id = await box.must(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    const pid = Number(await box.must(["inspect", "-f", "{{.State.Pid}}", "box"]));
    // the cgroup of the container lists everything in it
    const line = readFileSync(`/proc/${pid}/cgroup`, "utf8")
      .split("\n")
      .find((text) => /^\d+:(pids|):/.test(text));
    const [, controller, path] = /^\d+:(pids|):(.*)$/.exec(line ?? "")!;
    const procs = join("/sys/fs/cgroup", controller ?? "", path!, "cgroup.procs");
    const others = async () =>
      readFileSync(procs, "utf8")
        .split("\n")
        .filter((text) => text !== "" && Number(text) !== pid);
    await body(box, { execs: join(box.state, "containers", id, "execs"), others });
    assert.equal(await box.must(["inspect", "-f", "{{.State.Status}}", "box"]), "running");
    assert.equal(await box.must(["exec", "box", "echo", "fine"]), "fine");
    await box.must(["rm", "-f", "box"]);
  });
}

const entries = (dir: string) => {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
};

async function nothingLeft({ execs, others }: Running): Promise<void> {
  await until("processes of the exec to end", async () => (await others()).length === 0);
  await until("its files to go", () => entries(execs).length === 0);
}

test("a client of exec that is killed at any moment leaves nothing behind", root, () =>
  withContainer(async (box, running) => {
    for (let delay = 0; delay < 60; delay += 2) {
      const child = box.spawn(["exec", "-i", "box", "sh", "-c", "echo here; sleep 1000"]);
      await sleep(delay);
      child.kill("SIGKILL");
      await ended(child);
    }
    await nothingLeft(running);
  }),
);

test("a client of exec that is killed while its program runs takes it along", root, () =>
  withContainer(async (box, running) => {
    // one that reads nothing, one that is fed more than it reads, one that floods its client
    for (const script of ["exec sleep 1000", "echo here; exec sleep 1000", "exec yes"]) {
      const child = box.spawn(["exec", "-i", "box", "sh", "-c", script]);
      child.stdin!.on("error", () => {});
      child.stdin!.write(Buffer.alloc(1_000_000));
      await until("the program to run", async () => (await running.others()).length > 0);
      child.kill("SIGKILL");
      await ended(child);
      await nothingLeft(running);
    }
  }),
);

test("the shim of an exec that is killed takes the program along, and its client tells", root, () =>
  withContainer(async (box, running) => {
    const child = box.spawn(["exec", "box", "sh", "-c", "echo ready; exec sleep 1000"]);
    await once(child.stdout!, "data");
    const [name] = entries(running.execs);
    const { shim } = JSON.parse(readFileSync(join(running.execs, name!, "start.json"), "utf8"));
    process.kill(shim, "SIGKILL");
    assert.equal(await ended(child), 137);
    await nothingLeft(running);
  }),
);

test("what a killed shim of a detached exec leaves is cleared by who looks", root, () =>
  withContainer(async (box, running) => {
    await box.must(["exec", "-d", "box", "sleep", "1000"]);
    const [name] = entries(running.execs);
    const { shim } = JSON.parse(readFileSync(join(running.execs, name!, "start.json"), "utf8"));
    process.kill(shim, "SIGKILL");
    await until("its program to end", async () => (await running.others()).length === 0);
    assert.equal(await box.must(["inspect", "-f", "{{json .ExecIDs}}", "box"]), "null");
    assert.deepEqual(entries(running.execs), []);
  }),
);

test("execs end when the shim of their container is killed", root, () =>
  withBusybox(async (box) => {
    const id = await box.must(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    const { shim } = JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8"));
    const child = box.spawn(["exec", "box", "sh", "-c", "echo ready; exec sleep 1000"]);
    await once(child.stdout!, "data");
    process.kill(shim, "SIGKILL");
    assert.equal(await ended(child), 137);
    const refused = await box.gantry(["exec", "box", "true"]);
    assert.match(refused.stderr, /is not running/);
    await box.must(["rm", "-f", "box"]);
  }),
);
