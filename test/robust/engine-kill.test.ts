/**
 * kill -9 of client, engine and shim: afterwards there is a container in a true state or nothing, the next look finds
 * out which, and removing it leaves nothing.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withBusybox } from "../cli/busybox.ts";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");

interface Listed {
  readonly name: string;
  readonly state: string;
}

async function list(box: Sandbox): Promise<readonly Listed[]> {
  const text = await box.must(["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [name = "", state = ""] = line.split(" ");
      return { name, state };
    });
}

/** What `ps` says must be so: a running container has a process that lives. */
async function checkTruth(box: Sandbox): Promise<readonly Listed[]> {
  const containers = await list(box);
  for (const { name, state } of containers) {
    const [now, text] = (await box.must(["inspect", "-f", "{{.State.Status}} {{.State.Pid}}", name])).split(
      " ",
    );
    const pid = Number(text);
    // it may have ended between the two looks, each of which was true
    if (state === "running" && now === "running")
      assert.ok(readFileSync(`/proc/${pid}/status`, "utf8").includes("State:"), name);
    else assert.equal(pid, 0, name);
  }
  return containers;
}

/** After everything was removed, the store holds images and layers and nothing of a container. */
async function checkEmpty(box: Sandbox): Promise<void> {
  for (const { name } of await list(box)) await box.must(["rm", "-f", name]);
  assert.deepEqual(await list(box), []);
  const entries = (path: string) => {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  };
  // its record goes first: a remover that the list does not show any more may still be at the rest
  await until("all of it is gone", () => entries(join(box.root, "containers")).length === 0);
  assert.deepEqual(entries(join(box.root, "names")), []);
  assert.deepEqual(entries(join(box.root, "snapshots/active")), []);
  assert.deepEqual(entries(join(box.state, "containers")), []);
}

const killed = 137;

for (const point of ["create-directory", "create-name", "create-snapshot", "create-bundle"]) {
  test(`a client killed at ${point} leaves nothing, and the name is free`, { skip }, () =>
    withBusybox(async (box) => {
      const dead = await box.gantry(["run", "-d", "--name", "web", "busybox", "sleep", "60"], {
        env: { GANTRY_FAULT: point },
      });
      assert.equal(dead.code, killed);
      await box.must(["run", "-d", "--name", "web", "busybox", "sleep", "60"]);
      assert.deepEqual(await checkTruth(box), [{ name: "web", state: "running" }]);
      await checkEmpty(box);
    }),
  );
}

for (const [point, state] of [
  ["start-recorded", "created"],
  ["started", "running"],
  ["run-started", "running"],
] as const) {
  test(`a client killed at ${point} leaves a container that is ${state}`, { skip }, () =>
    withBusybox(async (box) => {
      const dead = await box.gantry(["run", "-d", "--name", "web", "busybox", "sleep", "60"], {
        env: { GANTRY_FAULT: point },
      });
      assert.equal(dead.code, killed);
      assert.deepEqual(await checkTruth(box), [{ name: "web", state }]);
      const taken = await box.gantry(["run", "--name", "web", "busybox", "true"]);
      assert.match(taken.stderr, /Conflict/);
      if (state === "created") {
        await box.must(["start", "web"]);
        assert.deepEqual(await checkTruth(box), [{ name: "web", state: "running" }]);
      }
      await box.must(["stop", "-t", "0", "web"]);
      assert.deepEqual(await checkTruth(box), [{ name: "web", state: "exited" }]);
      await checkEmpty(box);
    }),
  );

  test(`the same with --rm: killed at ${point}, the container goes when it has ended`, { skip }, () =>
    withBusybox(async (box) => {
      const command = ["run", "-d", "--rm", "--name", "web", "busybox", "sleep", "1"];
      assert.equal((await box.gantry(command, { env: { GANTRY_FAULT: point } })).code, killed);
      await until("it is gone", async () => (await list(box)).length === 0);
      await checkEmpty(box);
    }),
  );
}

for (const point of ["discard-record", "discard-snapshot", "discard-name"]) {
  test(`a removal killed at ${point} is finished by the next look`, { skip }, () =>
    withBusybox(async (box) => {
      await box.must(["create", "--name", "web", "busybox"]);
      assert.equal((await box.gantry(["rm", "web"], { env: { GANTRY_FAULT: point } })).code, killed);
      assert.deepEqual(await list(box), []);
      await checkEmpty(box);
      await box.must(["create", "--name", "web", "busybox"]);
      assert.equal((await box.gantry(["rm", "web"], { env: { GANTRY_FAULT: point } })).code, killed);
      await box.must(["create", "--name", "web", "busybox"]);
      await checkEmpty(box);
    }),
  );
}

test(
  "the name of a container with --rm is free when it has ended, also when its client was killed",
  { skip },
  () =>
    withBusybox(async (box) => {
      const client = box.spawn(["run", "--rm", "--name", "web", "busybox", "sh", "-c", "echo up; sleep 0.5"]);
      const end = ended(client);
      await new Promise((resolve) => client.stdout!.once("data", resolve));
      client.kill("SIGKILL");
      await end;
      const again = ["run", "--rm", "--name", "web", "busybox", "echo", "mine"];
      assert.equal(
        await until("the name is free", async () => (await box.gantry(again)).stdout || undefined),
        "mine\n",
      );
      await checkEmpty(box);
    }),
);

test("a client killed at any moment of a start leaves a true state", { skip }, () =>
  withBusybox(async (box) => {
    for (let round = 0; round < 24; round++) {
      const client = box.spawn(["run", "-d", "--name", `c${round}`, "busybox", "sleep", "60"]);
      const end = ended(client);
      await sleep(round * 4);
      client.kill("SIGKILL");
      await end;
    }
    await checkTruth(box);
    await checkEmpty(box);
  }),
);

test("the container outlives its client, and its output is kept", { skip }, () =>
  withBusybox(async (box) => {
    const client = box.spawn([
      "run",
      "--name",
      "web",
      "busybox",
      "sh",
      "-c",
      "echo before; sleep 1; echo after; exit 6",
    ]);
    const end = ended(client);
    await new Promise((resolve) => client.stdout!.once("data", resolve));
    client.kill("SIGKILL");
    await end;
    assert.deepEqual(await checkTruth(box), [{ name: "web", state: "running" }]);
    assert.equal(await box.must(["wait", "web"]), "6");
    assert.equal(await box.must(["logs", "web"]), "before\nafter");
    await checkEmpty(box);
  }),
);

/** Whether a process runs: one that waits to be reaped does not. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** The pid of the process that watches over a container. */
function shimOf(box: Sandbox, id: string): number {
  const start = JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8"));
  const pid = start.shimPid ?? start.shim?.pid ?? start.shim;
  assert.ok(Number.isInteger(pid) && pid > 1, JSON.stringify(start));
  return pid;
}

test("a shim that is killed takes its container with it, and ps tells", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["run", "-d", "--name", "web", "busybox", "sleep", "60"]);
    const pid = Number(await box.must(["inspect", "-f", "{{.State.Pid}}", "web"]));
    process.kill(shimOf(box, id), "SIGKILL");
    assert.deepEqual(
      await until("ps tells", async () => {
        const all = await checkTruth(box);
        return all[0]?.state === "exited" && all;
      }),
      [{ name: "web", state: "exited" }],
    );
    assert.equal(runs(pid), false);
    assert.match(
      await box.must(["inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "web"]),
      /^137 shim was killed/,
    );
    await box.must(["start", "web"]);
    assert.deepEqual(await checkTruth(box), [{ name: "web", state: "running" }]);
    await checkEmpty(box);
  }),
);

test("with --rm a killed shim leaves nothing after the next look", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["run", "-d", "--rm", "--name", "web", "busybox", "sleep", "60"]);
    process.kill(shimOf(box, id), "SIGKILL");
    await until("it is gone", async () => (await list(box)).length === 0);
    await checkEmpty(box);
  }),
);

test("a client that waits while the shim is killed gets an answer", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["run", "-d", "--name", "web", "busybox", "sleep", "60"]);
    const wait = box.gantry(["wait", "web"]);
    const follow = box.gantry(["logs", "-f", "web"]);
    await sleep(300);
    process.kill(shimOf(box, id), "SIGKILL");
    assert.equal((await wait).stdout, "137\n");
    assert.equal((await follow).code, 0);
    await checkEmpty(box);
  }),
);

test("many engines at once on one store: starts, ends, removals and looks", { skip }, () =>
  withBusybox(async (box) => {
    const worker = async (number: number) => {
      for (let round = 0; round < 4; round++) {
        const name = `w${number}-${round}`;
        const { code, stderr } = await box.gantry([
          "run",
          "--rm",
          "--name",
          name,
          "busybox",
          "sh",
          "-c",
          `exit ${number}`,
        ]);
        assert.equal(code, number, stderr);
      }
    };
    const looker = async () => {
      for (let round = 0; round < 8; round++) assert.equal((await box.gantry(["ps", "-a"])).code, 0);
    };
    await Promise.all([worker(1), worker(2), worker(3), worker(4), looker()]);
    await checkEmpty(box);
  }),
);
