/** containerd through ctr and its shim, with gantry-oci where it calls runc. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openContainerd } from "../../bench/peers/containerd.ts";
import { command, type Outcome } from "../lib/command.ts";
import { busyboxLayout } from "../lib/fixtures.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { type Caller, type Case, cgroupValue, declare, hasKeptPlan, runtimePath } from "./caller.ts";

/** `ctr run`, with the runtime under test and its state beside the test's files. */
function runArgs(caller: Caller, flags: readonly string[], id: string, program: readonly string[]): string[] {
  const root = join(caller.files, "runtime");
  const runtime = ["--runc-binary", runtimePath(caller.runtime), "--runc-root", root];
  return ["run", ...runtime, ...flags, caller.image, id, ...program];
}

/** ctr deletes what is over whether it has read all of its output or not: this rests at its end. */
const resting = (script: string) => `(${script}); code=$?; sleep 0.5; exit $code`;

function once(caller: Caller, flags: readonly string[], script: string) {
  return caller.call(runArgs(caller, ["--rm", ...flags], caller.name(), ["sh", "-c", script]));
}

/** What it says in the end. A client on a busy machine may close the pipes before it has read them: then once more. */
async function prints(caller: Caller, flags: readonly string[], script: string): Promise<string> {
  const over = "all is said";
  for (let tries = 0; ; tries++) {
    const { code, stdout, stderr } = await once(caller, flags, `${script}; echo ${over}`);
    assert.equal(code, 0, stderr);
    const text = stdout.trimEnd();
    if (text.endsWith(over)) return text.slice(0, -over.length).trimEnd();
    assert.ok(tries < 4, `cut short each time: ${text}`);
  }
}

const waiting = "trap 'exit 3' TERM; touch /up; while :; do sleep 0.1; done";

async function pidOf(caller: Caller, id: string): Promise<number> {
  const line = (await caller.must(["tasks", "ls"])).split("\n").find((text) => text.startsWith(`${id} `));
  return Number(line?.split(/ +/)[1] ?? 0);
}

async function statusOf(caller: Caller, id: string): Promise<string> {
  const line = (await caller.must(["tasks", "ls"])).split("\n").find((text) => text.startsWith(`${id} `));
  return line?.split(/ +/)[2] ?? "";
}

async function isUp(caller: Caller, id: string): Promise<void> {
  await until("the program to run", async () => {
    try {
      return statSync(`/proc/${await pidOf(caller, id)}/root/up`).isFile();
    } catch {
      return false;
    }
  });
}

/** A task in the background that has come as far as its trap. */
async function sleeping(caller: Caller, ...flags: string[]): Promise<string> {
  const id = caller.name();
  await caller.must(runArgs(caller, ["--detach", ...flags], id, ["sh", "-c", waiting]));
  await isUp(caller, id);
  return id;
}

/** The same, and `ctr run` waits for it: only so it tells the status. */
async function attended(caller: Caller): Promise<{ id: string; ended: Promise<Outcome> }> {
  const id = caller.name();
  const ended = caller.call(runArgs(caller, [], id, ["sh", "-c", waiting]));
  await Promise.race([isUp(caller, id), ended]);
  return { id, ended };
}

function exec(caller: Caller, id: string, ...rest: string[]) {
  return caller.call([
    "tasks",
    "exec",
    "--exec-id",
    caller.name(),
    ...rest.slice(0, -1),
    id,
    "sh",
    "-c",
    resting(rest.at(-1)!),
  ]);
}

/** The shim that containerd started for a container. */
function shimOf(caller: Caller, id: string): number {
  const found = readdirSync("/proc").find((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      return words[0]!.includes("containerd-shim") && words.includes(id) && words.includes(caller.group);
    } catch {
      return false;
    }
  });
  return Number(found);
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const cases: readonly Case[] = [
  {
    name: "containers of one kind are not compiled again and again",
    async body(caller) {
      const kept = async () => {
        assert.equal(await prints(caller, ["--env", "KIND=1"], "echo $KIND"), "1");
        return caller.runtime !== "gantry-oci" || (await hasKeptPlan(caller));
      };
      await until("a plan to be kept", kept, 60_000);
    },
  },
  {
    name: "run passes output and exit status through",
    async body(caller) {
      const done = await once(caller, [], resting("echo out; echo err >&2; exit 7"));
      assert.deepEqual([done.code, done.stdout], [7, "out\n"]);
      assert.match(done.stderr, /^err\n/);
    },
  },
  {
    name: "run with a terminal gives a terminal",
    async body(caller) {
      const args = runArgs(caller, ["--rm", "--tty"], caller.name(), [
        "sh",
        "-c",
        "test -t 0 && test -t 1 && tty",
      ]);
      const words = [...caller.peer.cli, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
      const script = ["script", "--quiet", "--return", "--command", words.join(" "), "/dev/null"];
      const done = await command(script);
      assert.equal(done.code, 0, done.stdout);
      assert.match(done.stdout, /^\S*\/dev\/(pts\/0|console)/m);
    },
  },
  {
    name: "what cannot be started is told with the runtime's reason, and leaves nothing",
    async body(caller) {
      const start = (program: string) => caller.call(runArgs(caller, ["--rm"], caller.name(), [program]));
      const missing = await start("nothing-of-this-name");
      assert.notEqual(missing.code, 0);
      assert.match(missing.stderr, /exec: "nothing-of-this-name": executable file not found in \$PATH/);
      assert.match(
        (await start("/no/such/path")).stderr,
        /exec: "\/no\/such\/path": .*no such file or directory/,
      );
      assert.match((await start("/etc/passwd")).stderr, /exec: "\/etc\/passwd": .*permission denied/);
      assert.equal(await caller.must(["tasks", "ls", "--quiet"]), "");
    },
  },
  {
    name: "kill sends the signal that was named, and the status is told",
    async body(caller) {
      const { id, ended } = await attended(caller);
      assert.equal(await statusOf(caller, id), "RUNNING");
      await caller.must(["tasks", "kill", "--signal", "SIGTERM", id]);
      assert.equal((await ended).code, 3);
      const hard = await attended(caller);
      await caller.must(["tasks", "kill", "--signal", "SIGKILL", hard.id]);
      assert.equal((await hard.ended).code, 137);
    },
  },
  {
    name: "what has stopped cannot be killed, and starts again after delete",
    async body(caller) {
      const id = await sleeping(caller);
      await caller.must(["tasks", "kill", "--signal", "SIGKILL", id]);
      await until("the task to stop", async () => (await statusOf(caller, id)) === "STOPPED");
      const again = await caller.call(["tasks", "kill", id]);
      assert.match(again.stderr, /not found|process already finished/);
      await caller.must(["tasks", "delete", id]);
      await caller.must(["tasks", "start", "--detach", id]);
      assert.equal(await statusOf(caller, id), "RUNNING");
    },
  },
  {
    name: "delete --force ends what runs",
    async body(caller) {
      const id = await sleeping(caller);
      const pid = await pidOf(caller, id);
      await caller.must(["tasks", "delete", "--force", id]).catch(() => {});
      await until("the process to be gone", () => !alive(pid));
      assert.equal(await caller.must(["tasks", "ls", "--quiet"]), "");
    },
  },
  {
    name: "exec runs a further process, with its user, place and status",
    async body(caller) {
      const id = await sleeping(caller);
      const done = await exec(
        caller,
        id,
        "--user",
        "1000:1000",
        "--cwd",
        "/tmp",
        "pwd; id -u; id -g; echo bad >&2; exit 4",
      );
      assert.deepEqual([done.code, done.stdout], [4, "/tmp\n1000\n1000\n"], done.stderr);
      const missing = await caller.call([
        "tasks",
        "exec",
        "--exec-id",
        caller.name(),
        id,
        "nothing-of-this-name",
      ]);
      assert.match(missing.stderr, /exec: "nothing-of-this-name": executable file not found in \$PATH/);
    },
  },
  {
    name: "ten execs at a time in one container",
    async body(caller) {
      const id = await sleeping(caller);
      const runs = Array.from({ length: 10 }, (_, index) => exec(caller, id, `echo ${index}; exit ${index}`));
      for (const [index, { code, stdout, stderr }] of (await Promise.all(runs)).entries())
        assert.deepEqual([code, stdout], [index, `${index}\n`], stderr);
    },
  },
  {
    name: "ps lists the processes of the container",
    async body(caller) {
      const id = await sleeping(caller);
      const pid = await pidOf(caller, id);
      const listed = (await caller.must(["tasks", "ps", id]))
        .split("\n")
        .map((line) => line.trim().split(/ +/)[0]);
      assert.ok(listed.includes(String(pid)), listed.join(" "));
    },
  },
  {
    name: "pause stops the program and resume lets it go on",
    async body(caller) {
      const id = await sleeping(caller);
      await caller.must(["tasks", "pause", id]);
      assert.equal(await statusOf(caller, id), "PAUSED");
      await caller.must(["tasks", "resume", id]);
      assert.equal(await statusOf(caller, id), "RUNNING");
      assert.equal((await exec(caller, id, "true")).code, 0);
    },
  },
  {
    name: "limits stand in the cgroup files, and metrics tell what is used",
    async body(caller) {
      const flags = ["--memory-limit", String(64 << 20), "--cpu-quota", "50000", "--cpu-period", "100000"];
      const id = await sleeping(caller, ...flags);
      const pid = await pidOf(caller, id);
      assert.equal(cgroupValue(pid, "memory", "memory.limit_in_bytes", "memory.max"), String(64 << 20));
      assert.match(cgroupValue(pid, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^50000( 100000)?$/);
      const metrics = await caller.must(["tasks", "metrics", "--format", "json", id]);
      assert.match(metrics, /"current": [1-9]/);
      assert.match(metrics, /"usage": \d/);
    },
  },
  {
    name: "what the kernel kills for want of memory is an event of its own",
    async body(caller) {
      const [program = "", ...args] = [...caller.peer.cli, "events"];
      const events = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
      let seen = "";
      events.stdout.on("data", (chunk: Buffer) => {
        seen += chunk.toString();
      });
      try {
        // the watcher is there when it tells of something
        await until("an event of any kind", async () => {
          await prints(caller, [], "true");
          return seen.includes("/tasks/exit");
        });
        const id = caller.name();
        const script = "tail /dev/zero; sleep 1; exit 4";
        const flags = ["--memory-limit", String(24 << 20), "--rm"];
        assert.equal((await caller.call(runArgs(caller, flags, id, ["sh", "-c", script]))).code, 4);
        await until("the event", () => new RegExp(`/tasks/oom \\{"container_id":"${id}"`).test(seen));
      } finally {
        events.kill("SIGKILL");
      }
    },
  },
  {
    name: "containerd killed and started again finds its task alive, and sees it end",
    async body(caller) {
      const id = await sleeping(caller);
      const pid = await pidOf(caller, id);
      await caller.peer.restart?.("containerd");
      assert.equal(await pidOf(caller, id), pid);
      assert.equal(await statusOf(caller, id), "RUNNING");
      const done = await exec(caller, id, "echo still");
      assert.equal(done.stdout, "still\n", done.stderr);
      await caller.must(["tasks", "kill", "--signal", "SIGTERM", id]);
      await until("the task to stop", async () => (await statusOf(caller, id)) === "STOPPED");
    },
  },
  {
    name: "the container of a shim that was killed is ended and cleaned up",
    async body(caller) {
      const id = await sleeping(caller);
      const pid = await pidOf(caller, id);
      process.kill(shimOf(caller, id), "SIGKILL");
      await until("the process to be gone", () => !alive(pid));
      await until("the task to be gone", async () => (await statusOf(caller, id)) === "");
    },
  },
  {
    name: "ten at a time all run and tell their own status",
    async body(caller) {
      const runs = Array.from({ length: 10 }, (_, index) =>
        once(caller, [], resting(`echo ${index}; exit ${index}`)),
      );
      for (const [index, { code, stdout, stderr }] of (await Promise.all(runs)).entries())
        assert.deepEqual([code, stdout], [index, `${index}\n`], stderr);
    },
  },
  {
    name: "a read-only root, environment, working directory, capabilities and seccomp are those asked for",
    async body(caller) {
      const flags = [
        "--read-only",
        "--env",
        "WORD=hi",
        "--cwd",
        "/tmp",
        "--cap-drop",
        "CAP_CHOWN",
        "--seccomp",
      ];
      const script =
        "touch /x 2>&1; echo $WORD; pwd; grep -E 'CapEff|Seccomp:' /proc/self/status | tr -d '\\t'";
      const out = await prints(caller, flags, script);
      assert.match(out, /^touch: \/x: Read-only file system\nhi\n\/tmp\nCapEff:00000000a80425fa\nSeccomp:2$/);
    },
  },
  {
    name: "a user namespace: root inside is nobody of the host's outside",
    async body(caller) {
      const maps = ["--uidmap", "0:300000:65536", "--gidmap", "0:300000:65536"];
      const id = await sleeping(caller, ...maps);
      assert.equal(statSync(`/proc/${await pidOf(caller, id)}`).uid, 300000);
      const done = await exec(caller, id, "id -u; touch /mine && stat -c %u /mine");
      assert.equal(done.stdout, "0\n0\n", done.stderr);
    },
  },
  {
    name: "the host's network and a device can be had",
    async body(caller) {
      const script = "readlink /proc/self/ns/net; stat -c %t:%T /dev/fuse";
      const out = await prints(caller, ["--net-host", "--device", "/dev/fuse"], script);
      assert.equal(out, `${readlinkSync("/proc/self/ns/net")}\na:e5`);
    },
  },
];

declare({
  name: "containerd",
  runtimes: ["runc", "gantry-oci"],
  cases,
  skip: needs("root", "containerd", "ctr", "runc", "script", gantryOciProgram, "/bin/busybox"),
  async remove(caller, names) {
    for (const name of names) await caller.call(["tasks", "delete", "--force", name]);
    await caller.call(["containers", "delete", ...names]);
  },
  async open({ dir, group, runtime, scope }) {
    // ctr forgets its --runc-binary where it has id maps: then the shim takes the first runc of PATH
    const bin = join(dir, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "runc"), `#!/bin/sh\nexec ${runtimePath(runtime)} "$@"\n`, { mode: 0o755 });
    scope.defer(() => rmSync(join("/run/containerd/runc", group), { recursive: true, force: true }));
    const enter = ["env", `PATH=${bin}:${process.env.PATH}`];
    return await openContainerd(dir, await busyboxLayout(), { enter, flags: ["--namespace", group] });
  },
});
