import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command, ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { gantryProgram } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

test("create, start, wait, logs, inspect, rm", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must([
      "create",
      "--name",
      "job",
      "--label",
      "team=a",
      "busybox",
      "sh",
      "-c",
      "echo one; echo two >&2; exit 4",
    ]);
    assert.equal(
      await box.must(["ps", "-a", "--format", "{{.ID}} {{.State}} {{.Status}}"]),
      `${id.slice(0, 12)} created Created`,
    );
    assert.equal(await box.must(["wait", "job"]), "0");
    assert.equal(await box.must(["start", "job"]), "job");
    assert.equal(await box.must(["wait", "job"]), "4");
    const logs = await box.gantry(["logs", "job"]);
    assert.deepEqual([logs.stdout, logs.stderr], ["one\n", "two\n"]);
    const shown = await box.must([
      "inspect",
      "-f",
      "{{.State.Status}} {{.State.ExitCode}} {{.Name}} {{.Config.Labels}} {{json .Config.Cmd}}",
      "job",
    ]);
    assert.equal(
      shown,
      'exited 4 /job map[team:a] ["sh","-c","echo one; echo two \\u003e\\u00262; exit 4"]'
        .replaceAll("\\u003e", ">")
        .replaceAll("\\u0026", "&"),
    );
    const again = await box.gantry(["start", "-a", "job"]);
    assert.deepEqual([again.stdout, again.stderr, again.code], ["one\n", "two\n", 4]);
    assert.equal((await box.must(["logs", "job"])).split("\n").length, 2);
    assert.equal(await box.must(["rm", "job"]), "job");
    assert.equal(await box.must(["ps", "-aq"]), "");
  }),
);

test("a detached container runs on; stop asks, kill does not", { skip }, () =>
  withBusybox(async (box) => {
    const script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done";
    await box.must(["run", "-d", "--name", "polite", "busybox", "sh", "-c", script]);
    await until("it is up", async () => (await box.must(["logs", "polite"])) === "up");
    const busy = await box.gantry(["rm", "polite"]);
    assert.equal(busy.code, 1);
    assert.match(
      busy.stderr,
      /^gantry: cannot remove container "polite": container is running: stop the container before removing or force remove\n$/,
    );
    assert.equal(await box.must(["stop", "polite"]), "polite");
    assert.equal(await box.must(["inspect", "-f", "{{.State.ExitCode}}", "polite"]), "5");
    assert.match(await box.must(["ps", "-a"]), /Exited \(5\) .*ago/);
    assert.equal(await box.must(["stop", "polite"]), "polite", "stopping what is stopped is no mistake");
    const dead = await box.gantry(["kill", "polite"]);
    assert.equal(dead.code, 1);
    assert.match(
      dead.stderr,
      /^gantry: cannot kill container: polite: container [0-9a-f]{64} is not running\n$/,
    );
    await box.must([
      "run",
      "-d",
      "--name",
      "deaf",
      "busybox",
      "sh",
      "-c",
      "trap '' TERM; while :; do sleep 0.05; done",
    ]);
    const started = performance.now();
    await box.must(["stop", "-t", "1", "deaf"]);
    const seconds = (performance.now() - started) / 1000;
    assert.ok(seconds >= 1 && seconds < 8, `${seconds} s`);
    assert.equal(await box.must(["inspect", "-f", "{{.State.ExitCode}}", "deaf"]), "137");
    await box.must(["start", "deaf"]);
    assert.equal(await box.must(["kill", "deaf"]), "deaf");
    assert.equal(await box.must(["wait", "deaf"]), "137");
    assert.equal(
      (await box.gantry(["kill", "-s", "BOGUS", "deaf"])).stderr,
      "gantry: invalid signal: BOGUS\n",
    );
    await box.must(["rm", "polite", "deaf"]);
  }),
);

test("--rm removes in every way of ending", { skip }, () =>
  withBusybox(async (box) => {
    const gone = (why: string) =>
      until(`removed: ${why}`, async () => (await box.must(["ps", "-aq"])) === "");
    await box.must(["run", "--rm", "busybox", "true"]);
    assert.equal(await box.must(["ps", "-aq"]), "", "in the foreground the client removes");
    await box.must(["run", "-d", "--rm", "--name", "one", "busybox", "sleep", "0.2"]);
    await gone("detached, by itself");
    await box.must(["run", "-d", "--rm", "--name", "two", "busybox", "sleep", "60"]);
    await box.must(["stop", "-t", "0", "two"]);
    await gone("stopped");
    await box.must(["run", "-d", "--rm", "--name", "three", "busybox", "sleep", "60"]);
    await box.must(["kill", "three"]);
    await gone("killed");
    const client = box.spawn(["run", "--rm", "busybox", "sh", "-c", "echo up; sleep 1"]);
    await new Promise((resolve) => client.stdout!.once("data", resolve));
    const end = ended(client);
    client.kill("SIGKILL");
    await end;
    await gone("its client was killed");
  }),
);

test("logs: follow, tail, since, timestamps", { skip }, () =>
  withBusybox(async (box) => {
    const script = "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.1; done";
    await box.must(["run", "-d", "--name", "talker", "busybox", "sh", "-c", script]);
    const follower = box.spawn(["logs", "-f", "talker"]);
    let followed = "";
    follower.stdout!.on("data", (chunk) => {
      followed += chunk;
    });
    assert.equal(await ended(follower), 0);
    const whole = [1, 2, 3, 4, 5, 6].map((number) => `line ${number}\n`).join("");
    assert.equal(followed, whole);
    assert.equal((await box.gantry(["logs", "talker"])).stdout, whole);
    assert.equal(await box.must(["logs", "--tail", "2", "talker"]), "line 5\nline 6");
    assert.equal(await box.must(["logs", "-n", "0", "talker"]), "");
    const stamped = await box.must(["logs", "-t", "--tail", "1", "talker"]);
    assert.match(stamped, /^\d{4}-\d\d-\d\dT[\d:.]+Z line 6$/);
    const since = stamped.split(" ")[0]!;
    assert.equal(await box.must(["logs", "--since", since, "talker"]), "line 6");
    assert.equal(await box.must(["logs", "--until", "1h", "talker"]), "");
    const bad = await box.gantry(["logs", "--tail", "x", "talker"]);
    assert.equal(bad.code, 125);
    await box.must(["rm", "talker"]);
  }),
);

test("wait blocks until the end, also from several clients", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "job", "busybox", "sh", "-c", "sleep 0.5; exit 9"]);
    const waits = await Promise.all([1, 2, 3].map(() => box.must(["wait", "job"])));
    assert.deepEqual(waits, ["9", "9", "9"]);
    await box.must(["rm", "job"]);
  }),
);

test("names that are not there are told one by one, and the others are done", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "real", "busybox"]);
    const outcome = await box.gantry(["rm", "ghost", "real"]);
    assert.deepEqual(
      [outcome.code, outcome.stdout, outcome.stderr],
      [1, "real\n", "gantry: No such container: ghost\n"],
    );
    for (const verb of ["logs", "start", "stop", "kill", "wait"]) {
      const missing = await box.gantry([verb, "ghost"]);
      assert.deepEqual([missing.code, missing.stderr], [1, "gantry: No such container: ghost\n"], verb);
    }
    const inspect = await box.gantry(["inspect", "ghost"]);
    assert.deepEqual(
      [inspect.code, inspect.stdout, inspect.stderr],
      [1, "[]\n", "gantry: No such object: ghost\n"],
    );
  }),
);

test("a start that fails leaves the container as it was, with the reason", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "broken", "busybox", "nosuch"]);
    const start = await box.gantry(["start", "broken"]);
    assert.equal(start.code, 1);
    assert.match(start.stderr, /executable file not found/);
    const shown = await box.must([
      "inspect",
      "-f",
      "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}",
      "broken",
    ]);
    assert.match(shown, /^created 127 .*executable file not found in \$PATH$/);
    assert.equal((await box.gantry(["start", "-a", "broken"])).code, 127);
    await box.must(["rm", "broken"]);
  }),
);

test("--rm finds the store that was named by a relative path or by the environment", { skip }, () =>
  withBusybox(async (box) => {
    const environment = { GANTRY_ROOT: box.root, GANTRY_STATE: box.state, ...box.env };
    const byEnvironment = await command([gantryProgram, "run", "-d", "--rm", "busybox", "true"], {
      env: environment,
    });
    assert.equal(byEnvironment.code, 0, byEnvironment.stderr);
    const places = ["--root", "root", "--state", "state"];
    const relative = await command([gantryProgram, ...places, "run", "-d", "--rm", "busybox", "true"], {
      cwd: box.dir,
      env: box.env,
    });
    assert.equal(relative.code, 0, relative.stderr);
    await until("both are removed", () => readdirSync(join(box.root, "containers")).length === 0);
  }),
);

test("a container with --rm whose start failed can be started again", { skip }, () =>
  withBusybox(async (box) => {
    const folder = join(box.dir, "later");
    mkdirSync(folder);
    const mount = `type=bind,source=${folder},target=/m`;
    await box.must(["create", "--rm", "--name", "job", "--mount", mount, "busybox", "cat", "/proc/mounts"]);
    rmSync(folder, { recursive: true });
    const failed = await box.gantry(["start", "job"]);
    assert.notEqual(failed.code, 0);
    mkdirSync(folder);
    const mounts = await box.must(["start", "-a", "job"]);
    // what it writes is thrown away: its end waits for no disk
    assert.match(mounts, /^overlay \/ overlay .*\bvolatile\b/m);
  }),
);
