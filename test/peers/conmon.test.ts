/** conmon, which podman and CRI-O put between themselves and a runtime, over runc, crun and ours. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { type Bundle, type Json, type Runtime, unready, withBundle } from "../kernel/bundle.ts";
import { needs, skipped } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { attach, type Conmon, parentOf, startConmon } from "./conmon-process.ts";

const skip = unready || needs("conmon", "python3");
const timeout = 60_000;

/** crun refuses a machine whose v2 tree beside v1 has a controller. */
function crunMissing(): string | false {
  const controllers = "/sys/fs/cgroup/unified/cgroup.controllers";
  if (existsSync(controllers) && readFileSync(controllers, "utf8").trim() !== "")
    return skipped("crun does not run on a hybrid cgroup layout with controllers in v2");
  return needs("crun");
}

const runtimes = [
  { name: "runc", skip },
  { name: "crun", skip: skip || crunMissing() },
  { name: "gantry-oci", skip },
] as const;

type Body = (runtime: Runtime, bundle: Bundle) => Promise<void>;

function forEach(what: string, script: string, patch: Json, body: Body): void {
  for (const { name, skip: reason } of runtimes)
    test(`${name}: ${what}`, { skip: reason, timeout }, () => withBundle(name, script, patch, body));
}

async function start(runtime: Runtime, conmon: Conmon): Promise<void> {
  const { code, stderr } = await runtime.call(["start", conmon.id]);
  assert.equal(code, 0, stderr);
}

async function remove(runtime: Runtime, conmon: Conmon): Promise<void> {
  const { code, stderr } = await runtime.call(["delete", "--force", conmon.id]);
  assert.equal(code, 0, stderr);
}

async function status(runtime: Runtime, conmon: Conmon): Promise<string> {
  return JSON.parse((await runtime.call(["state", conmon.id])).stdout).status;
}

/** Lines of a k8s-file log without their times. conmon may break a line anywhere: what P begins, F ends. */
function logged(conmon: Conmon): readonly string[] {
  const begun = new Map<string, string>();
  const lines: string[] = [];
  for (const [, stream = "", tag, text = ""] of readFileSync(conmon.log, "utf8").matchAll(
    /^\S+ (\S+) ([PF]) (.*)$/gm,
  )) {
    const line = (begun.get(stream) ?? "") + text;
    if (tag === "P") begun.set(stream, line);
    else {
      begun.delete(stream);
      lines.push(`${stream} F ${line}`);
    }
  }
  return [...lines, ...[...begun].map(([stream, line]) => `${stream} P ${line}`)];
}

const untilLogged = (conmon: Conmon, line: string) =>
  until(`the log to say ${line}`, () => logged(conmon).includes(line));

forEach(
  "the container is conmon's child; its lines are logged by stream, and its exit status is written down",
  "echo out; echo err >&2; printf part; exit 3",
  {},
  async (runtime, bundle) => {
    const conmon = await startConmon(runtime, bundle);
    assert.deepEqual(conmon.told, [{ data: conmon.pid() }]);
    assert.equal(parentOf(conmon.pid()), conmon.conmonPid());
    assert.equal(await status(runtime, conmon), "created");
    await start(runtime, conmon);
    assert.equal(await conmon.exit(), 3);
    assert.deepEqual([...logged(conmon)].sort(), ["stderr F err", "stdout F out", "stdout P part"]);
    assert.equal(await status(runtime, conmon), "stopped");
    await remove(runtime, conmon);
  },
);

forEach(
  "a program that is not there is told to podman as the runtime puts it, and nothing is left",
  "",
  { process: { args: ["/nothing/here"] } },
  async (runtime, bundle) => {
    const conmon = await startConmon(runtime, bundle);
    const [{ data, message } = { data: 0 }] = conmon.told;
    assert.ok(data < 0, JSON.stringify(conmon.told));
    assert.match(message ?? "", /no such file or directory|executable file.* not found/i);
    assert.equal((await runtime.call(["state", conmon.id])).code, 1);
  },
);

forEach(
  "what is sent to the attach socket is the program's input, whose end ends it",
  "cat; echo end",
  {},
  async (runtime, bundle) => {
    const conmon = await startConmon(runtime, bundle, ["--stdin"]);
    await start(runtime, conmon);
    const { stdout, stderr } = await attach(conmon.attachSocket, "hello\n");
    // 2 is what came from stdout
    assert.match(stdout, /2:hello\n/, stderr);
    assert.equal(await conmon.exit(), 0);
    assert.deepEqual(logged(conmon), ["stdout F hello", "stdout F end"]);
    await remove(runtime, conmon);
  },
);

for (const [signal, code] of [
  ["TERM", 143],
  ["KILL", 137],
] as const)
  forEach(
    `the end by SIG${signal} is exit status ${code}`,
    // as the first process of a pid namespace sh takes no signal that it has no handler for
    `trap "exit 143" TERM; echo up; while true; do sleep 0.1; done`,
    {},
    async (runtime, bundle) => {
      const conmon = await startConmon(runtime, bundle);
      await start(runtime, conmon);
      await untilLogged(conmon, "stdout F up");
      assert.equal((await runtime.call(["kill", conmon.id, signal])).code, 0);
      assert.equal(await conmon.exit(), code);
      await remove(runtime, conmon);
    },
  );

forEach(
  "conmon ends the container when its time is over",
  "while true; do sleep 0.1; done",
  {},
  async (runtime, bundle) => {
    const conmon = await startConmon(runtime, bundle, ["--timeout", "1"]);
    // which may be over before this
    await runtime.call(["start", conmon.id]);
    // conmon's own word for it, whatever the signal was
    assert.equal(await conmon.exit(), -1);
    await remove(runtime, conmon);
  },
);

forEach(
  "a container that takes more memory than it may is told to podman by a file",
  "exec tail /dev/zero",
  { linux: { resources: { memory: { limit: 16 << 20, swap: 16 << 20 } } } },
  async (runtime, bundle) => {
    const conmon = await startConmon(runtime, bundle);
    await start(runtime, conmon);
    assert.equal(await conmon.exit(), 137);
    await until("the file oom", () => existsSync(join(conmon.persist, "oom")));
    await remove(runtime, conmon);
  },
);

forEach(
  "a container goes on when its conmon is killed, and can be ended and deleted",
  "echo up; while true; do sleep 0.1; done",
  {},
  async (runtime, bundle) => {
    const conmon = await startConmon(runtime, bundle);
    await start(runtime, conmon);
    await untilLogged(conmon, "stdout F up");
    const pid = conmon.pid();
    const first = conmon.conmonPid();
    process.kill(first, "SIGKILL");
    await until("another parent", () => parentOf(pid) !== first);
    assert.equal(await status(runtime, conmon), "running");
    assert.equal((await runtime.call(["kill", conmon.id, "KILL"])).code, 0);
    await until("the end", async () => (await status(runtime, conmon)) === "stopped");
    await remove(runtime, conmon);
  },
);

/** Writes the process that an exec runs, as podman does. */
function processFile(bundle: Bundle, script: string): string {
  const file = join(bundle.files, "process.json");
  const process = { ...(bundle.config.process as Json), args: ["sh", "-c", script] };
  writeFileSync(file, JSON.stringify(process));
  return file;
}

forEach(
  "an exec is a child of its conmon, which tells its pid and writes down its status",
  "while true; do sleep 0.1; done",
  {},
  async (runtime, bundle) => {
    const conmon = await startConmon(runtime, bundle);
    await start(runtime, conmon);
    const spec = processFile(bundle, "echo from exec; exit 5");
    const flags = ["--exec", "--exec-process-spec", spec];
    const exec = await startConmon(runtime, bundle, flags, conmon.id);
    assert.ok(exec.told[0]!.data > 0, JSON.stringify(exec.told));
    assert.equal(await exec.exit(), 5);
    await until("the log of the exec", () => logged(exec).includes("stdout F from exec"));
    await remove(runtime, conmon);
    assert.equal(await conmon.exit(), 137);
  },
);

forEach(
  "an exec that cannot be started is told with the runtime's reason",
  "while true; do sleep 0.1; done",
  {},
  async (runtime, bundle) => {
    const conmon = await startConmon(runtime, bundle);
    await start(runtime, conmon);
    const file = processFile(bundle, "");
    writeFileSync(file, JSON.stringify({ ...(bundle.config.process as Json), args: ["/nothing/here"] }));
    const exec = await startConmon(runtime, bundle, ["--exec", "--exec-process-spec", file], conmon.id);
    assert.ok(exec.told[0]!.data < 0, JSON.stringify(exec.told));
    assert.match(exec.told[0]!.message ?? "", /no such file or directory/i);
    await remove(runtime, conmon);
  },
);
