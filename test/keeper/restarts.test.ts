/** Restart policies, and the process that keeps a store: what it does, and that it may be killed at any time. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { withBusybox } from "../cli/busybox.ts";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");
const timeout = 120_000;

const member = (box: Sandbox, name: string, text: string) => box.must(["inspect", "-f", text, name]);
const status = (box: Sandbox, name: string) => member(box, name, "{{.State.Status}}");

/** What happened to a container so far, in docker's words: `die 4`. */
async function story(box: Sandbox, name: string): Promise<readonly string[]> {
  const format = '{{.Action}} {{index .Actor.Attributes "exitCode"}}';
  const range = ["--since", "1h", "--until", "0s"];
  const text = await box.must(["events", ...range, "--filter", `container=${name}`, "--format", format]);
  return text.split("\n").map((line) => line.replace(/ (<no value>)?$/, ""));
}

/** `gantry serve`, once it says that all is in order. */
async function serving(box: Sandbox): Promise<ChildProcess> {
  const server = box.spawn(["serve"]);
  let said = "";
  server.stderr?.on("data", (data: Buffer) => {
    said += data.toString();
  });
  await until("gantry serve to be ready", () => said.includes("serving"));
  return server;
}

async function stopServing(server: ChildProcess): Promise<void> {
  const over = ended(server);
  server.kill("SIGTERM");
  assert.equal(await over, 0);
}

/** No shim, no keeper. */
async function nobodyLeft(box: Sandbox): Promise<void> {
  await until("no process to be left", async () =>
    (await box.leftovers(0)).every(({ kind }) => kind !== "process"),
  );
}

/** The record of a container, changed behind the engine's back. */
function changeRecord(box: Sandbox, id: string, change: (record: Record<string, unknown>) => void): void {
  const path = join(box.root, "containers", id, "container.json");
  const record = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  change(record);
  writeFileSync(path, JSON.stringify(record));
}

test(
  "on-failure tries as often as it may, without anybody waiting, and leaves no process",
  { skip, timeout },
  () =>
    withBusybox(async (box) => {
      await box.must([
        "run",
        "-d",
        "--name",
        "job",
        "--restart",
        "on-failure:2",
        "busybox",
        "sh",
        "-c",
        "exit 4",
      ]);
      const told = async () => await member(box, "job", "{{.RestartCount}} {{.State.Status}}");
      await until("the last try", async () => (await told()) === "2 exited");
      assert.equal(await member(box, "job", "{{.State.ExitCode}}"), "4");
      const once = ["start", "die 4"];
      assert.deepEqual(await story(box, "job"), ["create", ...once, ...once, ...once]);
      await nobodyLeft(box);
      await box.must(["rm", "job"]);
    }),
);

test("a success ends on-failure; always goes on after it, until somebody stops it", { skip, timeout }, () =>
  withBusybox(async (box) => {
    const run = (name: string, policy: string) =>
      box.must(["run", "-d", "--name", name, "--restart", policy, "busybox", "true"]);
    await run("well", "on-failure");
    await run("ever", "always");
    const count = async (name: string) => Number(await member(box, name, "{{.RestartCount}}"));
    await until("some restarts", async () => (await count("ever")) >= 3);
    assert.deepEqual([await status(box, "well"), await count("well")], ["exited", 0]);
    await box.must(["stop", "-t", "0", "ever"]);
    const stopped = await count("ever");
    assert.equal(await status(box, "ever"), "exited");
    // whoever kept it has ended, so nothing can start it any more
    await nobodyLeft(box);
    assert.deepEqual([await status(box, "ever"), await count("ever")], ["exited", stopped]);
    await box.must(["start", "ever"]);
    await until("its policy to count again", async () => (await count("ever")) >= 1);
    await box.must(["rm", "-f", "ever", "well"]);
  }),
);

test(
  "between two runs it is restarting: listed, not to be removed, and stop calls it off",
  { skip, timeout },
  () =>
    withBusybox(async (box) => {
      const id = await box.must(["run", "-d", "--name", "job", "--restart", "always", "busybox", "false"]);
      await box.must(["stop", "job"]);
      await nobodyLeft(box);
      // a pause that outlasts the test
      const at = new Date(Date.now() + 3_600_000).toISOString();
      changeRecord(box, id, (record) => {
        record.restart = { at, delayMs: 60_000 };
        record.manuallyStopped = undefined;
      });
      assert.equal(await status(box, "job"), "restarting");
      const told = await member(box, "job", "{{.State.Running}} {{.State.Restarting}} {{.State.Pid}}");
      assert.equal(told, "true true 0");
      assert.match(
        await box.must(["ps", "--format", "{{.State}} {{.Status}}"]),
        /^restarting Restarting \(1\) .* ago$/,
      );
      const refused = await box.gantry(["rm", "job"]);
      assert.match(refused.stderr, /You cannot remove a restarting container/);
      await box.must(["stop", "job"]);
      assert.equal(await status(box, "job"), "exited");
      await box.must(["rm", "job"]);
    }),
);

test(
  "after a restart of the machine, serve brings up what is to run, and nothing else",
  { skip, timeout },
  () =>
    withBusybox(async (box) => {
      const ids = new Map<string, string>();
      const policies = {
        plain: "no",
        always: "always",
        stopped: "unless-stopped",
        unless: "unless-stopped",
        failed: "on-failure",
        halted: "always",
      };
      for (const [name, policy] of Object.entries(policies))
        ids.set(
          name,
          await box.must(["run", "-d", "--name", name, "--restart", policy, "busybox", "sleep", "1000"]),
        );
      await box.must(["stop", "-t", "0", ...ids.keys()]);
      await nobodyLeft(box);
      // what a machine leaves that lost its power: records of another boot, no processes, an empty /run
      for (const [name, id] of ids)
        changeRecord(box, id, (record) => {
          const stopped = name === "stopped" || name === "halted";
          if (record.stoppedInBoot) record.stoppedInBoot = stopped ? "another boot" : undefined;
          if (stopped) return;
          record.startedInBoot = "another boot";
          record.manuallyStopped = undefined;
        });
      rmSync(box.state, { recursive: true });
      const server = await serving(box);
      const up = async () =>
        (await box.must(["ps", "--format", "{{.Names}}"])).split("\n").filter(Boolean).sort().join(" ");
      await until("all that is to run", async () => (await up()) === "always failed halted unless");
      assert.equal(await status(box, "plain"), "exited");
      assert.match(
        await member(box, "plain", "{{.State.ExitCode}} {{.State.Error}}"),
        /^255 the machine was restarted/,
      );
      await stopServing(server);
      await box.must(["rm", "-f", ...ids.keys()]);
    }),
);

test(
  "one process keeps a store; a second is told which, and SIGTERM ends it as well as it began",
  { skip, timeout },
  () =>
    withBusybox(async (box) => {
      const server = await serving(box);
      const second = await box.gantry(["serve"]);
      assert.equal(second.code, 1);
      assert.match(second.stderr, new RegExp(`being served already, by process ${server.pid}`));
      await stopServing(server);
      await stopServing(await serving(box));
    }),
);

test("serve ends what a killed shim left, and its policy goes on", { skip, timeout }, () =>
  withBusybox(async (box) => {
    const id = await box.must([
      "run",
      "-d",
      "--name",
      "job",
      "--restart",
      "always",
      "busybox",
      "sleep",
      "1000",
    ]);
    const server = await serving(box);
    const start = JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8")) as {
      shim: number;
    };
    process.kill(start.shim, "SIGKILL");
    await until(
      "it to run again",
      async () => (await member(box, "job", "{{.RestartCount}} {{.State.Status}}")) === "1 running",
      30_000,
    );
    await stopServing(server);
    await box.must(["rm", "-f", "job"]);
  }),
);

test(
  "100 containers, kill -9 of serve, ends meanwhile: each is told once, with its code",
  { skip, timeout: 300_000 },
  () =>
    withBusybox(async (box) => {
      const server = await serving(box);
      const script = "until [ -e /go/$0 ]; do sleep 0.2; done; exit $0";
      const run = async (number: number) => {
        const flags = ["-d", "--name", `c${number}`, "-v", `${box.dir}:/go:ro`];
        return await box.must(["run", ...flags, "busybox", "sh", "-c", script, String(number)]);
      };
      const numbers = Array.from({ length: 100 }, (_, index) => index);
      const ids: string[] = [];
      for (let at = 0; at < 100; at += 5)
        ids.push(...(await Promise.all(numbers.slice(at, at + 5).map(run))));
      const over = ended(server);
      server.kill("SIGKILL");
      await over;
      const gone = numbers.slice(0, 50);
      for (const number of gone) writeFileSync(join(box.dir, String(number)), "");
      const pidsOf = async () => await box.must(["ps", "-q"]);
      // nobody looks before the next one does: what tells of the ends are the exit records of the shims
      await until("the ends", () => gone.every((number) => hasEnded(box, ids[number]!)), 60_000);
      const again = await serving(box);
      const range = ["--since", "1h", "--until", "0s", "--filter", "event=die"];
      const format = '{{index .Actor.Attributes "name"}} {{index .Actor.Attributes "exitCode"}}';
      const told = (await box.must(["events", ...range, "--format", format])).split("\n").sort();
      assert.deepEqual(told, gone.map((number) => `c${number} ${number}`).sort());
      assert.equal((await pidsOf()).split("\n").length, 50);
      await stopServing(again);
      await box.must(["rm", "-f", ...numbers.map((number) => `c${number}`)]);
    }),
);

/** Whether its shim has written that down. */
function hasEnded(box: Sandbox, id: string): boolean {
  return existsSync(join(box.state, "containers", id, "exit.json"));
}

for (const point of ["settle-recorded", "settle-reported"])
  test(`an end is told once, also when who tells it is killed at ${point}`, { skip, timeout }, () =>
    withBusybox(async (box) => {
      const id = await box.must(["run", "-d", "--name", "job", "busybox", "sh", "-c", "exit 9"]);
      await until("its end", () => hasEnded(box, id));
      const killed = await box.gantry(["ps", "-a"], { env: { GANTRY_FAULT: point } });
      assert.equal(killed.code, 137);
      for (let look = 0; look < 2; look++) assert.equal(await status(box, "job"), "exited");
      assert.deepEqual(
        (await story(box, "job")).filter((line) => line.startsWith("die")),
        ["die 9"],
      );
      await box.must(["rm", "job"]);
    }),
  );

test("policies that cannot be are refused in docker's words", { skip }, () =>
  withBusybox(async (box) => {
    const refused = async (...flags: readonly string[]) => {
      const { code, stderr } = await box.gantry(["run", ...flags, "busybox", "true"]);
      assert.equal(code, 125);
      return stderr;
    };
    assert.match(await refused("--restart", "sometimes"), /invalid restart policy 'sometimes'/);
    assert.match(
      await refused("--restart", "always:3"),
      /maximum retry count can only be used with 'on-failure'/,
    );
    assert.match(await refused("--restart", "on-failure:x"), /maximum retry count must be an integer/);
    assert.match(await refused("--rm", "--restart", "always"), /cannot specify both --restart and --rm/);
  }),
);
