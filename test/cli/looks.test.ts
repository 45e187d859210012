import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { top, withSandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

test("explain prints config and plan, and starts, pulls and keeps nothing", { skip }, () =>
  withBusybox(async (box) => {
    const text = await box.must(["explain", "run", "--name", "web", "-m", "100m", "busybox", "echo", "hi"]);
    assert.match(text, /"limit": 104857600/);
    assert.match(text, /^child +\d+ +exec args=\[echo hi\]/m);
    assert.match(text, /^host +\d+ +write-cgroup .*104857600.* \(\/linux\/resources\/memory/m);
    assert.match(text, /^cleanup +\d+ +remove-cgroup/m);
    assert.equal(
      await box.must([
        "explain",
        "run",
        "--format",
        "{{.Config.linux.resources.memory.limit}}",
        "-m",
        "100m",
        "busybox",
      ]),
      "104857600",
    );
    const config = JSON.parse(await box.must(["explain", "run", "--format", "config", "busybox", "true"]));
    assert.deepEqual(config.process.args, ["true"]);
    assert.equal(await box.must(["ps", "-aq"]), "");
    assert.equal((await box.gantry(["explain", "run", "nosuch"])).code, 125);
    await box.must(["run", "--rm", "--name", "web", "busybox", "true"]);
  }),
);

test("ps filters, formats and quotes", { skip }, () =>
  withBusybox(async (box) => {
    await box
      .must(["run", "--name", "done", "--label", "team=a", "busybox", "sh", "-c", "exit 3"])
      .catch(() => {});
    await box.must(["run", "-d", "--name", "up", "--label", "team=b", "busybox", "sleep", "60"]);
    const names = async (...args: string[]) => await box.must(["ps", "--format", "{{.Names}}", ...args]);
    assert.equal(await names(), "up");
    assert.equal(await names("-a"), "up\ndone");
    assert.equal(await names("-l"), "up");
    assert.equal(await names("-n", "5"), "up\ndone");
    assert.equal(await names("--filter", "status=exited"), "done");
    assert.equal(await names("--filter", "exited=3"), "done");
    assert.equal(await names("-a", "--filter", "label=team=a"), "done");
    assert.equal(await names("-a", "--filter", "label=team"), "up\ndone");
    assert.equal(await names("-a", "--filter", "name=^u"), "up");
    assert.equal(await names("-a", "--filter", "ancestor=busybox", "--filter", "name=done"), "done");
    const table = (await box.must(["ps", "-a", "--no-trunc"])).split("\n");
    assert.match(table[0]!, /^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/);
    assert.match(table[2]!, /^[0-9a-f]{64} +busybox +"sh -c 'exit 3'" +.*ago +Exited \(3\) .*ago +done$/);
    assert.equal(
      await box.must(["ps", "--format", 'table {{.Names}}\t{{.Label "team"}}']),
      "NAMES     LABEL\nup        b",
    );
    const bad = await box.gantry(["ps", "--filter", "color=red"]);
    assert.deepEqual([bad.code, bad.stderr.split("\n")[0]], [1, "gantry: invalid filter 'color'"]);
    const field = await box.gantry(["ps", "--format", "{{.Nope}}"]);
    assert.equal(field.code, 1);
    assert.equal((await box.gantry(["ps", "--format", "{{.Names"])).code, 64);
    assert.match(field.stderr, /map has no entry for key "Nope"/);
    await box.must(["rm", "-f", "up", "done"]);
  }),
);

test("names and labels cannot drive the terminal", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "evil", "--label", "x=\x1b]0;owned\x07", "busybox", "\x1b[2J"]);
    const table = await box.must(["ps", "-a", "--no-trunc"]);
    assert.ok(!table.includes("\x1b"), JSON.stringify(table));
    assert.ok(!(await box.must(["ps", "-a", "--format", "table {{.Labels}}"])).includes("\x1b"));
    await box.must(["rm", "evil"]);
  }),
);

test("events tell what happens, also the end that nobody waited for", { skip }, () =>
  withBusybox(async (box) => {
    const client = box.spawn(["events", "--format", "{{.Action}} {{.Actor.Attributes.name}}"]);
    const end = ended(client);
    let output = "";
    client.stdout!.on("data", (chunk) => {
      output += chunk;
    });
    await until("events are heard", async () => {
      await box.must(["create", "--name", "probe", "busybox"]);
      await box.must(["rm", "probe"]);
      return output.includes("destroy probe");
    });
    await box.must(["run", "-d", "--rm", "--name", "brief", "busybox", "true"]);
    await until("all is told", () => output.includes("destroy brief"));
    const own = output.split("\n").filter((line) => line.endsWith(" brief"));
    assert.deepEqual(own, ["create brief", "start brief", "die brief", "destroy brief"]);
    client.kill("SIGINT");
    assert.equal(await end, 130);
    const past = await box.must(["events", "--since", "1m", "--until", "0s"]);
    assert.match(
      past,
      /container die [0-9a-f]{64} \(execDuration=0, exitCode=0, image=busybox, name=brief\)/,
    );
  }),
);

test("inspect has docker's shape", { skip }, () =>
  withBusybox(async (box) => {
    await box.must([
      "run",
      "-d",
      "--name",
      "web",
      "-m",
      "64m",
      "--cpus",
      "0.5",
      "-v",
      "/tmp:/t:ro",
      "busybox",
      "sleep",
      "60",
    ]);
    const [web] = JSON.parse(await box.must(["inspect", "web"]));
    assert.equal(web.Name, "/web");
    assert.deepEqual([web.State.Status, web.State.Running, web.State.ExitCode], ["running", true, 0]);
    assert.ok(web.State.Pid > 1);
    assert.deepEqual(
      [web.HostConfig.Memory, web.HostConfig.NanoCpus, web.HostConfig.NetworkMode],
      [67108864, 5e8, "none"],
    );
    assert.deepEqual(web.HostConfig.Binds, ["/tmp:/t:ro"]);
    assert.equal(web.Mounts[0].Destination, "/t");
    assert.deepEqual([web.Path, web.Args], ["sleep", ["60"]]);
    assert.equal(web.State.FinishedAt, "0001-01-01T00:00:00Z");
    assert.match(web.State.StartedAt, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    await box.must(["rm", "-f", "web"]);
  }),
);

test("every command explains itself", async () => {
  const { catalog } = await import("../../src/cli/catalog.ts");
  const { commandHelp } = await import("../../src/cli/help.ts");
  for (const [name, entry] of Object.entries(catalog)) {
    const command = await entry.load();
    assert.equal(command.name, name);
    assert.equal(command.summary, entry.summary, name);
    const help = commandHelp(command);
    assert.ok(help.startsWith(`Usage:  gantry ${name}`), name);
    if (entry.group) assert.match(help, /\nExamples:\n/, name);
    for (const line of help.split("\n")) assert.ok(line.length <= 130, `${name}: ${line}`);
  }
});

test("help, version and unknown commands need no store", () =>
  withSandbox(async (box) => {
    const { version } = JSON.parse(readFileSync(join(top, "package.json"), "utf8"));
    assert.match(await box.must(["--help"]), /^Usage: {2}gantry \[OPTIONS\] COMMAND/);
    assert.match(await box.must(["run", "--help"]), /Examples:\n/);
    assert.match(await box.must(["help", "ps"]), /^Usage: {2}gantry ps/);
    for (const field of [".Version", ".Client.Version", ".Server.Version"])
      assert.equal(await box.must(["version", "--format", `{{${field}}}`]), version);
    assert.match(await box.must(["--version"]), new RegExp(`^gantry ${version}`));
    const unknown = await box.gantry(["bogus"]);
    assert.deepEqual(
      [unknown.code, unknown.stderr.split("\n")[0]],
      [1, "gantry: unknown command: gantry bogus"],
    );
    const flag = await box.gantry(["ps", "--bogus"]);
    assert.deepEqual([flag.code, flag.stderr.split("\n")[0]], [125, "unknown flag: --bogus"]);
    const level = await box.gantry(["--log-level", "loud", "ps"]);
    assert.notEqual(level.code, 0);
    assert.match(level.stderr, /unable to parse logging level: loud/);
  }));

test("info tells where things lie", { skip }, () =>
  withSandbox(async (box) => {
    const info = JSON.parse(await box.must(["info", "--format", "json"]));
    assert.deepEqual([info.GantryRootDir, info.Containers], [box.root, 0]);
    assert.match(await box.must(["info"]), /^Executor: +\/.*gantry-executor$/m);
  }),
);
