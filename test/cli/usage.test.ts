/** top, stats, port and the filters and formats of events. */
import assert from "node:assert/strict";
import test from "node:test";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root", "ps");

test("top shows the processes of a container, with docker's columns or those of ps options", { skip }, () =>
  withBusybox(async (box) => {
    await box.must([
      "run",
      "-d",
      "--name",
      "one",
      "-u",
      "12:34",
      "busybox",
      "sh",
      "-c",
      "sleep 999 & sleep 998",
    ]);
    const lines = await until("both sleep", async () => {
      const shown = (await box.must(["top", "one"])).split("\n");
      return shown.filter((line) => /sleep 99[89]$/.test(line)).length === 2 && shown;
    });
    assert.match(lines[0]!, /^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/);
    assert.match(
      lines[1]!,
      /^12 +\d+ +\d+ +\d+ +\S+ +\? +\d\d:\d\d:\d\d +sleep 99[89]$|^12 .* sh -c sleep 999 & sleep 998$/,
    );
    const own = await box.must(["top", "one", "-o", "pid,args"]);
    assert.match(own.split("\n")[0]!, /^PID +COMMAND$/);
    const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", "one"]);
    assert.match(own, new RegExp(`^${pid} +sleep 998$`, "m"));
    await box.must(["pause", "one"]);
    assert.match(await box.must(["container", "top", "one"]), /sleep 999/);
    const noPid = await box.gantry(["top", "one", "-o", "args"]);
    assert.match(noPid.stderr, /couldn't find PID field in ps output/i);
    await box.must(["rm", "-f", "one"]);
    await box.must(["create", "--name", "two", "busybox"]);
    assert.match(
      (await box.gantry(["top", "two"])).stderr,
      /^gantry: container [0-9a-f]{64} is not running\n$/,
    );
    await box.must(["rm", "two"]);
  }),
);

test("stats: what a container uses, once and as a stream", { skip }, () =>
  withBusybox(async (box) => {
    await box.must([
      ...["run", "-d", "--name", "busy", "-m", "64m", "--memory-swap", "64m"],
      ...["busybox", "sh", "-c", "while :; do :; done"],
    ]);
    await box.must(["run", "-d", "--name", "idle", "busybox", "sleep", "1000"]);
    const table = await box.must(["stats", "--no-stream"]);
    assert.match(
      table.split("\n")[0]!,
      /^CONTAINER ID {3}NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS$/,
    );
    assert.equal(table.split("\n").length, 3);
    const format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}";
    // how much of a CPU it gets is up to the machine
    const [name, cpu, memory, pids] = await until("it spins", async () => {
      const fields = (await box.must(["stats", "--no-stream", "--format", format, "busy"])).split("|");
      return fields[1] !== "0.00%" && fields;
    });
    assert.equal(name, "busy");
    assert.match(cpu!, /^\d+\.\d\d%$/);
    assert.match(memory!, /^[\d.]+[KM]iB \/ 64MiB$/);
    assert.equal(pids, "1");
    const idle = JSON.parse(await box.must(["stats", "--no-stream", "--format", "json", "idle"]));
    assert.equal(idle.CPUPerc, "0.00%");
    assert.deepEqual(Object.keys(idle).sort(), [
      "BlockIO",
      "CPUPerc",
      "Container",
      "ID",
      "MemPerc",
      "MemUsage",
      "Name",
      "NetIO",
      "PIDs",
    ]);
    const client = box.spawn(["stats", "--format", "{{.Name}} {{.CPUPerc}}", "busy"]);
    let output = "";
    client.stdout!.on("data", (chunk) => {
      output += chunk;
    });
    const end = ended(client);
    const samples = /^busy 0\.00%\n(busy \d+\.\d\d%\n)*busy (?!0\.00%)\d+\.\d\d%\n/;
    await until("samples", () => samples.test(output), 30_000);
    client.kill("SIGINT");
    assert.equal(await end, 130);
    await box.must(["rm", "-f", "busy", "idle"]);
    await box.must(["create", "--name", "rest", "busybox"]);
    assert.equal(
      await box.must(["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "rest"]),
      "rest 0B / 0B 0",
    );
    assert.equal((await box.must(["stats", "--no-stream"])).split("\n").length, 1);
    assert.equal((await box.must(["stats", "-a", "--no-stream"])).split("\n").length, 2);
    assert.equal(
      (await box.gantry(["stats", "--no-stream", "ghost"])).stderr,
      "gantry: No such container: ghost\n",
    );
    await box.must(["rm", "rest"]);
  }),
);

test("port: no container has published ports", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "web", "busybox"]);
    assert.equal(await box.must(["port", "web"]), "");
    const asked = await box.gantry(["port", "web", "80"]);
    assert.deepEqual([asked.code, asked.stderr], [1, "gantry: No public port '80' published for web\n"]);
    assert.match((await box.gantry(["port", "web", "x"])).stderr, /invalid port \(x\)/);
    await box.must(["rm", "web"]);
  }),
);

test("events in docker's forms: lines, JSON and templates", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must([
      "run",
      "-d",
      "--name",
      "one",
      "--label",
      "team=a",
      "busybox",
      "sleep",
      "1000",
    ]);
    await box.must(["kill", "-s", "KILL", "one"]);
    await box.must(["wait", "one"]);
    await box.must(["rm", "one"]);
    const past = ["events", "--since", "1h", "--until", "0s"];
    const lines = (
      await box.must([...past, "--filter", "type=container"], { env: { TZ: "Asia/Kolkata" } })
    ).split("\n");
    assert.equal(lines.length, 5, lines.join("\n"));
    assert.match(
      lines[2]!,
      new RegExp(
        `^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}\\+05:30 container kill ${id} \\(image=busybox, name=one, signal=9, team=a\\)$`,
      ),
    );
    const json = JSON.parse(await box.must([...past, "--filter", "event=die", "--format", "json"]));
    assert.deepEqual(
      [
        json.Type,
        json.Action,
        json.status,
        json.id,
        json.from,
        json.scope,
        json.Actor.ID,
        json.Actor.Attributes.exitCode,
      ],
      ["container", "die", "die", id, "busybox", "local", id, "137"],
    );
    assert.equal(Math.floor(json.timeNano / 1e9), json.time);
    const template =
      "{{.Type}} {{.Action}} {{.Status}} {{.From}} {{.Actor.Attributes.team}} {{.Actor.Attributes.none}}";
    assert.equal(
      await box.must([...past, "--filter", "event=start", "--format", template]),
      "container start start busybox a <no value>",
    );
    assert.equal(await box.must([...past, "--filter", "scope=swarm"]), "");
    assert.equal(await box.must([...past, "--filter", "volume=x"]), "");
    assert.equal((await box.gantry([...past, "--filter", "color=red"])).code, 1);
  }),
);
