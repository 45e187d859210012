/** One scenario by name, over the store that the environment names; ends with "ok". */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { Engine, GantryError, isGantryError } from "gantry";

const image = "busybox";
const sh = (script) => ["sh", "-c", script];

async function rejectsWith(promise, code, message) {
  await assert.rejects(promise, (error) => {
    assert.ok(isGantryError(error, code), `${error}`);
    assert.ok(error instanceof GantryError);
    assert.match(error.message, message);
    return true;
  });
}

const nothingLeft = async (engine) => assert.deepEqual(await engine.containers({ all: true }), []);

/** Executors of this program that wait for a plan. */
function executors() {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        const [, mode] = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
        const [, name, parent] =
          /^Name:\t(.*)$[\s\S]*^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1")) ?? [];
        return mode === "dialogue" && name !== "gantry-shim" && parent === String(process.pid);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Looks after a moment at the earliest, in which this program hears of what has happened. */
async function until(holds) {
  for (let tries = 0; ; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (holds()) return;
    assert.ok(tries < 1000, `never: ${holds}`);
  }
}

const scenarios = {
  async streams(engine) {
    await using c = await engine.run({ image, command: sh("echo out; echo err >&2; exit 3") });
    assert.equal(await c.stdout.text(), "out\n");
    assert.equal(await c.stderr.text(), "err\n");
    assert.deepEqual(await c.wait(), 3);
    const { exitCode, oomKilled } = await c.waitForExit();
    assert.deepEqual([exitCode, oomKilled], [3, false]);
    const entries = [];
    for await (const entry of c.logs()) entries.push([entry.stream, entry.text]);
    assert.deepEqual(entries.sort(), [
      ["stderr", "err\n"],
      ["stdout", "out\n"],
    ]);
  },

  async pods(engine) {
    await using pod = await engine.createPod({ name: "web", labels: { tier: "a" } });
    assert.equal((await pod.inspect()).state.kind, "created");
    let network;
    await pod.start({
      onNetwork(path) {
        network = path;
      },
    });
    const { state, status, namespacePaths, cgroup } = await pod.inspect();
    assert.deepEqual([state.kind, status, namespacePaths.network], ["ready", "running", network]);
    assert.equal(cgroup, `/gantry/pod-${pod.id}`);
    await using c = await engine.run({ image, pod: pod.id, command: ["hostname"] });
    assert.equal(await c.stdout.text(), "web\n");
    assert.deepEqual(
      (await pod.containers()).map(({ id }) => id),
      [c.id],
    );
    await pod.stop();
    await pod.stop();
    assert.equal((await engine.pods())[0].state.kind, "stopped");
    await pod.remove();
    await pod.remove();
    assert.deepEqual(await engine.pods(), []);
    await rejectsWith(engine.pod("web"), "not-found", /no pod with name or ID web found/);
    await nothingLeft(engine);
  },

  async "pods with users of their own"(engine) {
    const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const users = { uidMappings: ids, gidMappings: ids };
    const sysctls = { "net.ipv4.ip_forward": "1" };
    for (const pid of ["container", "pod"]) {
      await using pod = await engine.createPod({ users, sysctls, namespaces: { pid } });
      await pod.start();
      const look =
        'cat /proc/self/uid_map /proc/sys/net/ipv4/ip_forward; touch /dev/shm/x; stat -c "%u" /dev/shm /dev/shm/x /etc';
      await using one = await engine.run({ image, pod: pod.name, command: sh(look) });
      assert.match(await one.stdout.text(), /^ +0 +100000 +65536\n1\n0\n0\n0\n$/);
      assert.equal(await one.wait(), 0);
    }
    await using donor = await engine.run({
      image,
      userNamespace: users,
      command: ["sleep", "60"],
      attach: false,
    });
    const shared = { userNamespace: `container:${donor.name}`, pid: `container:${donor.id}` };
    await using guest = await engine.run({
      image,
      ...shared,
      command: sh("cat /proc/self/uid_map; ps -o user,args"),
    });
    assert.match(await guest.stdout.text(), /^ +0 +100000 +65536\n[\s\S]*root +sleep 60/);
  },

  async stdin(engine) {
    await using c = await engine.run({ image, command: ["cat"], stdin: true });
    await c.stdin.write("one\n");
    await c.stdin.write(new TextEncoder().encode("two\n"));
    await c.stdin.end();
    const lines = [];
    for await (const line of c.stdout.lines()) lines.push(line);
    assert.deepEqual(lines, ["one", "two"]);
    assert.equal(await c.wait(), 0);
  },

  async exec(engine) {
    await using c = await engine.run({ image, command: ["sleep", "1000"] });
    const one = await c.exec(sh("echo out; echo err >&2; exit 3"));
    assert.equal(await one.stdout.text(), "out\n");
    assert.equal(await one.stderr.text(), "err\n");
    assert.deepEqual([await one.wait(), await one.wait()], [3, 3]);
    const fed = await c.exec(["cat"], { stdin: true, env: ["A=1"] });
    await fed.stdin.write("in\n");
    await fed.stdin.end();
    assert.deepEqual([await fed.stdout.text(), await fed.wait()], ["in\n", 0]);
    await assert.rejects(fed.kill(), /it is (gone|not running)/);
    await rejectsWith(c.exec(["nosuch"]), "not-found", /executable file not found/);
    const all = Array.from({ length: 20 }, async (_, index) => {
      await using e = await c.exec(sh(`exit ${index}`));
      return await e.wait();
    });
    assert.deepEqual(
      await Promise.all(all),
      Array.from({ length: 20 }, (_, index) => index),
    );
    assert.deepEqual((await c.inspect()).execs, []);
  },

  async "exec ends"(engine) {
    await using c = await engine.run({ image, command: ["sleep", "1000"] });
    const running = async () => (await c.inspect()).execs.map(({ id }) => id);
    const controller = new AbortController();
    const aborted = await c.exec(["sleep", "1000"], { signal: controller.signal });
    assert.deepEqual(await running(), [aborted.id]);
    controller.abort();
    assert.equal(await aborted.wait(), 137);
    {
      await using left = await c.exec(["sleep", "1000"]);
      assert.deepEqual(await running(), [left.id]);
    }
    assert.deepEqual(await running(), []);
    const kept = await c.exec(sh("sleep 0.2; exit 4"));
    await kept.detach();
    assert.equal(await kept.wait(), 4);
    const alone = await c.exec(sh("sleep 0.2; exit 5"), { detach: true });
    assert.deepEqual(await running(), [alone.id]);
    assert.equal(await alone.wait(), 5);
    const signalled = await c.exec(["sleep", "1000"], { detach: true });
    await signalled.kill("TERM");
    assert.equal(await signalled.wait(), 143);
    const slow = await c.exec(sh("yes | head -c 10000000"));
    for await (const _ of slow.stdout) break;
    assert.equal(await slow.wait(), 0);
    assert.deepEqual(await running(), []);
    const last = await c.exec(["sleep", "1000"]);
    await c.kill();
    assert.equal(await last.wait(), 137);
  },

  async terminals(engine) {
    const seen = async (process, pattern) => {
      let text = "";
      for await (const chunk of process.stdout) {
        text += Buffer.from(chunk).toString();
        if (pattern.test(text)) return text;
      }
      throw new Error(`the output ended: ${JSON.stringify(text)}`);
    };
    const command = sh(
      "trap 'stty size' WINCH; stty size; read a; echo \"[$a]\"; while :; do sleep 0.05; done",
    );
    const terminalSize = { rows: 11, columns: 22 };
    await using c = await engine.run({ image, command, terminal: true, stdin: true, terminalSize });
    await seen(c, /^11 22\r\n/);
    await c.stdin.write("typed\n");
    await seen(c, /\[typed\]\r\n/);
    await c.resize({ rows: 33, columns: 44 });
    await seen(c, /33 44\r\n/);
    await c.detach();
    const again = await engine.container(c.name);
    await again.attach({ stdin: true });
    await again.resize({ rows: 55, columns: 66 });
    await seen(again, /55 66\r\n/);
    const exec = await c.exec(sh("tty; stty size; read b; exit 9"), { terminal: terminalSize, stdin: true });
    await seen(exec, /^\/dev\/pts\/1\r\n11 22\r\n/);
    await exec.stdin.write("\n");
    assert.equal(await exec.wait(), 9);
    await using plain = await engine.run({ image, command: ["sleep", "60"] });
    await assert.rejects(plain.resize(terminalSize), /inappropriate ioctl for device|not a typewriter/i);
  },

  async errors(engine) {
    await rejectsWith(engine.container("nosuch"), "not-found", /^No such container: nosuch$/);
    await rejectsWith(engine.run({ image: "nosuch", pull: "never" }), "not-found", /No such image/);
    await rejectsWith(
      engine.pull("nosuch", { policy: "never" }),
      "not-found",
      /No such image: nosuch:latest/,
    );
    for (const policy of ["never", "missing"])
      assert.deepEqual((await engine.pull("busybox", { policy })).repoTags, ["busybox:latest"]);
    await rejectsWith(engine.run({ image, name: "a/b" }), "invalid-argument", /Invalid container name/);
    await using taken = await engine.create({ image, name: "taken" });
    await rejectsWith(engine.run({ image, name: "taken" }), "already-exists", /Conflict/);
    await rejectsWith(taken.kill(), "failed-precondition", /is not running/);
    await assert.rejects(engine.run({ image, command: ["nosuch"] }), (error) => {
      assert.match(error.message, /executable file not found/);
      assert.equal(error.detail.status, 127);
      return true;
    });
    assert.equal((await engine.containers({ all: true })).length, 1);
  },

  async abort(engine) {
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    await assert.rejects(engine.run({ image }, { signal: aborted }), reason);
    for (let delay = 0; delay < 30; delay += 2) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), delay);
      try {
        await using c = await engine.run({ image, command: ["sleep", "60"] }, { signal: controller.signal });
        assert.ok(c);
      } catch (error) {
        assert.equal(error, reason);
      }
      await nothingLeft(engine);
    }
    await using c = await engine.run({ image, command: ["sleep", "60"] });
    const started = performance.now();
    await assert.rejects(c.wait({ signal: AbortSignal.timeout(50) }), /abort|timed? ?out/i);
    assert.ok(performance.now() - started < 2000);
    const logs = c.logs({ follow: true, signal: AbortSignal.timeout(50) });
    await assert.rejects(async () => {
      for await (const _ of logs);
    }, /abort|timed? ?out/i);
    const events = engine.events({ signal: AbortSignal.timeout(50) });
    await assert.rejects(async () => {
      for await (const _ of events);
    }, /abort|timed? ?out/i);
  },

  async disposal(engine) {
    let pid;
    {
      await using c = await engine.run({ image, command: ["sleep", "60"] });
      const { state } = await c.inspect();
      pid = state.start.init.pid;
      process.kill(pid, 0);
    }
    assert.throws(() => process.kill(pid, 0), /ESRCH/);
    await nothingLeft(engine);
  },

  async detached(engine) {
    const c = await engine.run({
      image,
      name: "later",
      command: sh("read x; echo got $x; exit 5"),
      stdin: true,
      attach: false,
    });
    await using again = await engine.container("later");
    assert.equal(again.id, c.id);
    await again.attach({ stdin: true });
    await again.stdin.write("it\n");
    assert.equal(await again.stdout.text(), "got it\n");
    assert.equal(await again.wait(), 5);
  },

  async restart(engine) {
    await using c = await engine.create({ image, command: sh("echo run; exit 2") });
    assert.equal(await c.wait(), 0);
    for (let count = 0; count < 3; count++) {
      await c.start();
      assert.equal(await c.stdout.text(), "run\n");
      assert.equal(await c.wait(), 2);
    }
    await c.start();
    await c.wait();
  },

  async life(engine) {
    await using c = await engine.run({ image, command: ["sleep", "60"], name: "first", pidsLimit: 20 });
    await c.pause();
    const [paused] = await engine.containers();
    assert.equal(paused.status, "paused");
    await rejectsWith(c.pause(), "failed-precondition", /is already paused/);
    await c.unpause();
    await c.rename("second");
    assert.deepEqual([c.name, (await engine.container("second")).id], ["second", c.id]);
    await rejectsWith(engine.container("first"), "not-found", /No such container: first/);
    await c.update({ pidsLimit: 30, memoryBytes: 64 * 1024 * 1024 });
    const { runtimeConfig } = await c.inspect();
    assert.deepEqual(runtimeConfig.linux.resources.pids, { limit: 30 });
    await rejectsWith(c.update({ cpuPeriodUs: 10 }), "invalid-argument", /can not be less than 1ms/);
    await c.restart({ timeoutSeconds: 0 });
    const next = c.waitForExit({ condition: "next-exit" });
    await c.kill();
    assert.equal((await next).exitCode, 137);
    const removed = c.waitForExit({ condition: "removed" });
    await c.remove();
    assert.equal((await removed).exitCode, 137);
  },

  async files(engine) {
    await using c = await engine.run({ image, command: sh("mkdir /d; echo 1 > /d/f; echo up; sleep 60") });
    for await (const _ of c.stdout.lines()) break;
    const { name, type, sizeBytes } = await c.statPath("/d/f");
    assert.deepEqual([name, type, sizeBytes], ["f", "file", 2]);
    await rejectsWith(c.statPath("/nope"), "not-found", /Could not find the file \/nope in container/);
    const { stat, tar } = await c.readArchive("/d");
    const chunks = [];
    for await (const chunk of tar) chunks.push(chunk);
    assert.equal(stat.type, "directory");
    await c.writeArchive("/tmp", chunks);
    assert.equal((await c.statPath("/tmp/d/f")).sizeBytes, 2);
    {
      // given back unread
      await using _ = await c.readArchive("/d");
    }
    const changes = await c.changes();
    assert.deepEqual(
      changes.map(({ kind, path }) => `${kind} ${path}`),
      ["added /d", "added /d/f", "changed /tmp", "added /tmp/d", "added /tmp/d/f"],
    );
    assert.deepEqual((await c.top(["-o", "pid,comm"])).titles, ["PID", "COMMAND"]);
    const samples = [];
    for await (const sample of c.stats({ intervalMs: 10 })) {
      samples.push(sample);
      if (samples.length === 3) break;
    }
    assert.ok(samples[2].memoryBytes > 0 && samples[2].pids >= 1);
    let bytes = 0;
    for await (const chunk of c.export()) bytes += chunk.length;
    assert.ok(bytes > 100_000);
    const made = await c.commit({ name: "made:1", author: "me", execution: { Cmd: ["cat", "/d/f"] } });
    assert.deepEqual(made.repoTags, ["made:1"]);
    await using again = await engine.run({ image: "made:1" });
    assert.equal(await again.stdout.text(), "1\n");
    const aborted = AbortSignal.abort(new Error("enough"));
    await assert.rejects(c.copyTo("/etc/hostname", "/tmp", { signal: aborted }), /enough/);
    await assert.rejects(c.commit({ signal: aborted }), /enough/);
  },

  async stop(engine) {
    await using c = await engine.run({
      image,
      command: sh("trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done"),
    });
    for await (const line of c.stdout.lines()) {
      assert.equal(line, "up");
      break;
    }
    await c.stop({ timeoutSeconds: 5 });
    assert.equal(await c.wait(), 9);
    await c.stop();
  },

  async events(engine) {
    const seen = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const event of engine.events({ signal: controller.signal })) {
        seen.push(`${event.kind} ${event.action}`);
        if (event.action === "destroy" && event.attributes.name === "told") return;
      }
    })();
    await new Promise((later) => setTimeout(later, 100));
    const c = await engine.run({ image, name: "told", command: ["true"] });
    await c.wait();
    await c.remove();
    await watching;
    assert.deepEqual(seen, [
      ...["container create", "container attach", "container start"],
      ...["container die", "container destroy"],
    ]);
  },

  async flood(engine) {
    const size = 200 * 1024 * 1024;
    await using c = await engine.run({
      image,
      command: sh(`head -c ${size} /dev/zero`),
      log: { format: "none" },
    });
    let bytes = 0;
    let peak = 0;
    const before = process.memoryUsage().rss;
    for await (const chunk of c.stdout) {
      bytes += chunk.length;
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    assert.equal(bytes, size);
    assert.equal(await c.wait(), 0);
    assert.ok(peak - before < 150 * 1024 * 1024, `${(peak - before) / 1e6} MB more`);
  },

  async unread(engine) {
    // nobody reads 32 MiB: the container ends all the same, and who comes late is told
    await using c = await engine.run({ image, command: sh("head -c 33554432 /dev/zero; echo done >&2") });
    assert.equal(await c.wait(), 0);
    await rejectsWith(c.stdout.text(), "resource-exhausted", /bytes were dropped/);
    assert.equal(await c.stderr.text(), "done\n");
  },

  async parallel(engine) {
    const codes = await Promise.all(
      Array.from({ length: 12 }, async (_, number) => {
        await using c = await engine.run({ image, command: sh(`exit ${number}`) });
        return await c.wait();
      }),
    );
    assert.deepEqual(
      codes,
      Array.from({ length: 12 }, (_, number) => number),
    );
  },

  async "the next executor is started ahead, and ends with the engine"(engine) {
    const own = await Engine.open();
    await using c = await own.run({ image, command: sh("sleep 1000") });
    const exec = async () => {
      await using started = await c.exec(["true"]);
      assert.equal(await started.wait(), 0);
      await until(() => executors().length === 1);
      return executors()[0];
    };
    const ahead = await exec();
    const next = await exec();
    assert.notEqual(next, ahead);
    process.kill(next, "SIGKILL");
    await until(() => executors().length === 0);
    assert.notEqual(await exec(), next);
    await own[Symbol.asyncDispose]();
    await until(() => executors().length === 0);
    await (await engine.container(c.id)).remove({ force: true });
  },

  async explain(engine) {
    const { runtimeConfig, plan } = await engine.explain({
      image,
      command: ["true"],
      memoryBytes: 64 * 1024 * 1024,
    });
    assert.equal(runtimeConfig.linux.resources.memory.limit, 64 * 1024 * 1024);
    assert.equal(plan.child.at(-1).op, "exec");
    const [found] = await engine.images();
    assert.equal((await engine.image("busybox")).id, found.id);
    assert.equal((await engine.info()).images, 1);
  },
};

const [name] = process.argv.slice(2);
if (name === "--list") console.log(Object.keys(scenarios).join("\n"));
else {
  await using engine = await Engine.open();
  await scenarios[name](engine);
  await nothingLeft(engine);
  console.log("ok");
}
