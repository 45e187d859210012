/** Events in docker's words, told when things happen, whoever looks or waits. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { gantryProgram } from "../lib/sandbox.ts";
import { Peer, terminalPeer } from "../lib/terminal-peer.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

interface Told {
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

async function told(box: Sandbox, ...actions: readonly string[]): Promise<readonly Told[]> {
  const range = ["--since", "1h", "--until", "0s", "--filter", "type=container", "--format", "json"];
  const lines = await box.must(["events", ...range]);
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Told)
    .filter(({ Action }) => actions.includes(Action));
}

test("oom is told while the container runs, with its labels, and not again at its end", { skip }, () =>
  withBusybox(async (box) => {
    // tail keeps all of a line; the shell is small and outlives it
    const script = "tail /dev/zero; tail /dev/zero; sleep 1000";
    const asked = ["-d", "--name", "box", "-m", "24m", "--label", "mail=a@TIME@b"];
    const id = await box.must(["run", ...asked, "busybox", "sh", "-c", script]);
    const [first] = await until("the word of the kernel", async () => {
      const seen = await told(box, "oom");
      return seen.length > 0 ? seen : undefined;
    });
    assert.equal(await box.must(["inspect", "-f", "{{.State.Status}}", "box"]), "running");
    assert.deepEqual(first!.Actor, {
      ID: id,
      Attributes: { image: "busybox", name: "box", mail: "a@TIME@b" },
    });
    await until("both to be killed", async () =>
      (await box.must(["exec", "box", "ps"])).includes("sleep 1000"),
    );
    const before = (await told(box, "oom")).length;
    await box.must(["kill", "box"]);
    await box.must(["wait", "box"]);
    assert.equal(await box.must(["inspect", "-f", "{{.State.OOMKilled}}", "box"]), "true");
    assert.equal((await told(box, "oom")).length, before);
    // a run in which nothing is killed has none
    await box.must(["run", "--name", "small", "-m", "24m", "busybox", "true"]);
    assert.equal((await told(box, "oom")).length, before);
    await box.must(["rm", "box", "small"]);
  }),
);

test("what shims tell of carries the name that the container has then, also after a rotation", { skip }, () =>
  withBusybox(async (box) => {
    const script = "while read line; do tail /dev/zero; done; sleep 1000";
    await box.must(["run", "-d", "-i", "--name", "first", "-m", "24m", "busybox", "sh", "-c", script]);
    const id = await box.must(["inspect", "-f", "{{.Id}}", "first"]);
    const oom = async (name: string, count: number) => {
      await box.must(["exec", name, "sh", "-c", "echo >/proc/1/fd/0"]);
      await until("the word of the kernel", async () => (await told(box, "oom")).length === count);
    };
    await box.must(["exec", "-d", "first", "sh", "-c", "while [ ! -e /end ]; do sleep 0.1; done"]);
    await oom("first", 1);
    await box.must(["rename", "first", "second"]);
    await oom("second", 2);
    // what told of the name is gone from the log
    const log = join(box.state, "events.log");
    await box.must(["rename", "second", "third"]);
    writeFileSync(log, "");
    await oom("third", 1);
    await box.must(["exec", "third", "touch", "/end"]);
    const nth = async (action: string) => (await told(box, action)).map(({ Actor }) => Actor.Attributes.name);
    await until("the end of the first exec", async () => (await nth("exec_die")).length === 3);
    assert.deepEqual(await nth("oom"), ["third"]);
    assert.deepEqual(await nth("exec_die"), ["third", "third", "third"]);
    await box.must(["stop", "-t", "0", "third"]);
    await box.must(["rename", "third", "fourth"]);
    await box.must(["start", "fourth"]);
    await box.must(["exec", "fourth", "touch", "/end"]);
    await box.must(["kill", "fourth"]);
    await box.must(["wait", "fourth"]);
    assert.deepEqual(await nth("die"), ["third", "fourth"]);
    assert.deepEqual((await nth("exec_die")).at(-1), "fourth");
    assert.equal(await box.must(["inspect", "-f", "{{.Id}}", "fourth"]), id);
    await box.must(["rm", "fourth"]);
  }),
);

test("a container that is killed for its memory has oom once, before die", { skip }, () =>
  withBusybox(async (box) => {
    const { code } = await box.gantry(["run", "--rm", "-m", "24m", "busybox", "tail", "/dev/zero"]);
    assert.equal(code, 137);
    assert.deepEqual(
      (await told(box, "oom", "die", "destroy")).map(({ Action }) => Action),
      ["oom", "die", "destroy"],
    );
  }),
);

test("exec_die is told of an exec that nobody waits for, and of one whose shim was killed", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    await box.must(["exec", "-d", "box", "sh", "-c", "exit 7"]);
    await until("its end", async () => (await told(box, "exec_die")).length === 1);
    assert.equal((await told(box, "exec_die"))[0]!.Actor.Attributes.exitCode, "7");
    const missing = await box.gantry(["exec", "box", "nosuch"]);
    assert.equal(missing.code, 127);
    await box.must(["exec", "-d", "box", "sleep", "999"]);
    const [execId] = JSON.parse(await box.must(["inspect", "-f", "{{json .ExecIDs}}", "box"])) as string[];
    const id = await box.must(["inspect", "-f", "{{.Id}}", "box"]);
    const record = join(box.state, "containers", id, "execs", execId!, "start.json");
    process.kill(JSON.parse(readFileSync(record, "utf8")).shim, "SIGKILL");
    await until("the next look to find it", async () => {
      await box.must(["inspect", "box"]);
      return (await told(box, "exec_die")).length === 3;
    });
    assert.deepEqual(
      (await told(box, "exec_die")).map(({ Actor }) => Actor.Attributes.exitCode),
      ["7", "127", "137"],
    );
    assert.equal((await told(box, "exec_die"))[2]!.Actor.Attributes.execID, execId);
    assert.deepEqual(readdirSync(join(box.state, "containers", id, "execs")).length, 1);
    await box.must(["rm", "-f", "box"]);
  }),
);

test("events that shims alone tell have an end, and whoever looks next begins the file anew", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    const [go, log] = [join(box.state, "go"), join(box.state, "events.log")];
    await box.must(["run", "-d", "--name", "held", "-v", `${box.state}:/state`, "busybox", "sleep", "1000"]);
    const script = "until [ -e /state/go ]; do usleep 10000; done";
    await box.must(["exec", "-d", "held", "sh", "-c", script]);
    const id = await box.must(["inspect", "-f", "{{.Id}}", "held"]);
    truncateSync(log, 64 << 20);
    writeFileSync(go, "");
    const execs = join(box.state, "containers", id, "execs");
    await until("its end", () =>
      readdirSync(execs).every((exec) => existsSync(join(execs, exec, "exit.json"))),
    );
    assert.equal(statSync(log).size, 64 << 20);
    await box.must(["pause", "box"]);
    assert.equal(statSync(`${log}.1`).size, 64 << 20);
    assert.ok(statSync(log).size < 4096);
    await box.must(["rm", "-f", "box", "held"]);
  }),
);

test("cp tells archive-path and extract-to-dir; top and attach tell themselves", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    writeFileSync(join(box.dir, "note"), "text");
    await box.must(["cp", join(box.dir, "note"), "box:/tmp/"]);
    await box.must(["cp", "box:/tmp/note", join(box.dir, "back")]);
    await box.must(["top", "box"]);
    await box.must(["run", "--name", "short", "busybox", "true"]);
    const actions = (await told(box, "archive-path", "extract-to-dir", "top", "attach")).map(
      ({ Action, Actor }) => `${Action} ${Actor.Attributes.name}`,
    );
    assert.deepEqual(actions, ["extract-to-dir box", "archive-path box", "top box", "attach short"]);
    await box.must(["rm", "-f", "box", "short"]);
  }),
);

test(
  "a terminal tells its sizes, and the detach keys that somebody has let go",
  { skip: skip || needs(...terminalPeer.needs) },
  () =>
    withBusybox(async (box) => {
      const gantry = [gantryProgram, "--root", box.root, "--state", box.state];
      const run = [...gantry, "run", "-it", "--name", "box", "busybox", "sh", "-c", "echo ready; sleep 1000"];
      const peer = new Peer(await terminalPeer.build(), ["drive", "012", "40", "120", ...run], {
        env: box.env,
      });
      try {
        await peer.prints(/ready/);
        peer.resize(21, 61);
        await until("the new size", async () =>
          (await told(box, "resize")).some(({ Actor }) => Actor.Attributes.height === "21"),
        );
        peer.type("\x10\x11");
        assert.deepEqual(await peer.driven(), { status: 0, restored: true });
      } finally {
        peer.end();
      }
      const last = (await told(box, "resize")).at(-1)!.Actor.Attributes;
      assert.deepEqual([last.height, last.width], ["21", "61"]);
      assert.deepEqual(
        (await told(box, "create", "attach", "start", "detach", "die")).map(({ Action }) => Action),
        ["create", "attach", "start", "detach"],
      );
      await box.must(["rm", "-f", "box"]);
    }),
);
