/** pause, unpause, restart, rename, update and wait of the command line, with the real kernel. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import test from "node:test";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

const state = (box: Sandbox, name: string, what: string) =>
  box.must(["inspect", "-f", `{{.State.${what}}}`, name]);

/** A container that counts in its log, so that whether it goes on can be seen. */
async function runCounter(box: Sandbox, name: string, ...options: readonly string[]): Promise<void> {
  const script =
    "trap 'exit 7' TERM; trap 'exit 8' USR1; i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done";
  await box.must(["run", "-d", "--name", name, ...options, "busybox", "sh", "-c", script]);
  await until("it counts", async () => (await box.must(["logs", "-n", "1", name])) !== "");
}

async function count(box: Sandbox, name: string): Promise<number> {
  return Number(await box.must(["logs", "-n", "1", name]));
}

test("a paused container stands still, says so, and goes on", { skip }, () =>
  withBusybox(async (box) => {
    await runCounter(box, "one");
    assert.equal(await box.must(["pause", "one"]), "one");
    const at = await count(box, "one");
    assert.match(await box.must(["ps"]), /Up .* \(Paused\)/);
    assert.equal(await box.must(["ps", "-q", "--filter", "status=running"]), "");
    assert.notEqual(await box.must(["ps", "-q", "--filter", "status=paused"]), "");
    assert.equal(
      await box.must(["inspect", "-f", "{{.State.Status}} {{.State.Running}} {{.State.Paused}}", "one"]),
      "paused true true",
    );
    const again = await box.gantry(["pause", "one"]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^gantry: Container [0-9a-f]{64} is already paused\n$/);
    assert.match(
      (await box.gantry(["rm", "one"])).stderr,
      /container is paused: unpause and then stop the container/,
    );
    assert.equal(await count(box, "one"), at, "nothing was counted meanwhile");
    assert.equal(await box.must(["unpause", "one"]), "one");
    await until("it counts on", async () => (await count(box, "one")) > at);
    assert.match(
      (await box.gantry(["unpause", "one"])).stderr,
      /^gantry: Container [0-9a-f]{64} is not paused\n$/,
    );
    assert.match(await box.must(["ps"]), /Up Less than a second|Up \d+ seconds?/);
    await box.must(["rm", "-f", "one"]);
    const events = await box.must(["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"]);
    assert.match(events, /start\npause\nunpause\n/);
  }),
);

test("a paused container is stopped, killed and removed as one that runs", { skip }, () =>
  withBusybox(async (box) => {
    await runCounter(box, "stopped");
    await box.must(["pause", "stopped"]);
    await box.must(["stop", "stopped"]);
    assert.equal(await state(box, "stopped", "ExitCode"), "7", "it had its time to end by itself");
    await runCounter(box, "killed");
    await box.must(["pause", "killed"]);
    await box.must(["kill", "killed"]);
    assert.equal(await box.must(["wait", "killed"]), "137");
    await runCounter(box, "removed");
    await box.must(["pause", "removed"]);
    await box.must(["rm", "-f", "removed"]);
    await runCounter(box, "kept", "--stop-signal", "QUIT");
    await box.must(["pause", "kept"]);
    await box.must(["kill", "-s", "USR1", "kept"]);
    assert.equal(await state(box, "kept", "Status"), "paused", "a signal that is not to end it waits");
    await box.must(["unpause", "kept"]);
    assert.equal(await box.must(["wait", "kept"]), "8");
    for (const verb of ["pause", "unpause"])
      assert.match(
        (await box.gantry([verb, "kept"])).stderr,
        /^gantry: Container [0-9a-f]{64} is not (running|paused)\n$/,
      );
  }),
);

test(
  "restart ends a container and starts it again, also one with --rm, a paused one and a stopped one",
  { skip },
  () =>
    withBusybox(async (box) => {
      await runCounter(box, "web");
      const before = await state(box, "web", "Pid");
      assert.equal(await box.must(["restart", "web"]), "web");
      assert.notEqual(await state(box, "web", "Pid"), before);
      assert.equal(await state(box, "web", "Status"), "running");
      await box.must(["pause", "web"]);
      await box.must(["restart", "-t", "0", "web"]);
      assert.equal(await state(box, "web", "Status"), "running");
      await box.must(["stop", "web"]);
      await box.must(["restart", "web"]);
      assert.equal(await state(box, "web", "Status"), "running");
      await runCounter(box, "gone", "--rm");
      const gone = await state(box, "gone", "Pid");
      await box.must(["restart", "-t", "1", "gone"]);
      assert.notEqual(await state(box, "gone", "Pid"), gone);
      const actions = await box.must([
        ...["events", "--since", "1h", "--until", "0s", "--filter", "container=gone", "--format"],
        "{{.Action}}",
      ]);
      assert.equal(actions, "create\nstart\nkill\ndie\nstop\nstart\nrestart");
      await box.must(["stop", "-t", "0", "gone"]);
      await until(
        "removed after its own end",
        async () => (await box.must(["ps", "-aq"])).split("\n").length === 1,
      );
      assert.equal((await box.gantry(["restart", "ghost"])).stderr, "gantry: No such container: ghost\n");
      await box.must(["rm", "-f", "web"]);
    }),
);

test("a renamed container has the new name only, and the old one is free", { skip }, () =>
  withBusybox(async (box) => {
    await runCounter(box, "old");
    const host = await box.must(["inspect", "-f", "{{.Config.Hostname}}", "old"]);
    assert.equal(await box.must(["rename", "old", "new"]), "");
    assert.equal(await box.must(["ps", "--format", "{{.Names}}"]), "new");
    assert.equal((await box.gantry(["inspect", "old"])).stderr, "gantry: No such object: old\n");
    assert.equal(await box.must(["inspect", "-f", "{{.Config.Hostname}}", "new"]), host);
    assert.equal(
      (await box.gantry(["rename", "new", "new"])).stderr,
      "gantry: Renaming a container with the same name as its current name\n",
    );
    await box.must(["create", "--name", "old", "busybox"]);
    const taken = await box.gantry(["rename", "new", "old"]);
    assert.match(
      taken.stderr,
      /^gantry: Conflict\. The container name "\/old" is already in use by container "[0-9a-f]{64}"/,
    );
    assert.match((await box.gantry(["rename", "new", "a b"])).stderr, /Invalid container name \(a b\)/);
    const event = await box.must([
      ...["events", "--since", "1h", "--until", "0s", "--filter", "event=rename", "--format"],
      "{{.Actor.Attributes.oldName}} {{.Actor.Attributes.name}}",
    ]);
    assert.equal(event, "/old new");
    await box.must(["rm", "-f", "new", "old"]);
  }),
);

for (const point of ["rename-claimed", "rename-recorded"])
  test(`a rename that is killed at ${point} leaves one name, and the other is to be had`, { skip }, () =>
    withBusybox(async (box) => {
      const id = await box.must(["create", "--name", "old", "busybox"]);
      const killed = await box.gantry(["rename", "old", "new"], { env: { GANTRY_FAULT: point } });
      assert.equal(killed.code, 137);
      const [kept, free] = point === "rename-claimed" ? ["old", "new"] : ["new", "old"];
      assert.equal(await box.must(["inspect", "-f", "{{.Id}} {{.Name}}", kept]), `${id} /${kept}`);
      assert.equal((await box.gantry(["inspect", free])).code, 1);
      await box.must(["create", "--name", free, "busybox"]);
      assert.equal(
        (await box.must(["ps", "-a", "--format", "{{.Names}}"])).split("\n").sort().join(" "),
        "new old",
      );
      await box.must(["rename", kept, "third"]);
      await box.must(["rm", "third", free]);
    }),
  );

/** Whether a process waits for changes of files. */
function watches(pid: number): boolean {
  const dir = `/proc/${pid}/fd`;
  return readdirSync(dir).some((fd) => {
    try {
      return readlinkSync(`${dir}/${fd}`) === "anon_inode:inotify";
    } catch {
      return false;
    }
  });
}

/** What the kernel has in a file of the container's cgroup, in whichever hierarchy it is. */
async function limitOf(box: Sandbox, name: string, v1: string, v2: string): Promise<string> {
  const id = await box.must(["inspect", "-f", "{{.Id}}", name]);
  const root = "/sys/fs/cgroup";
  const places = [v1.split(".")[0]!, "cpu,cpuacct"].map((folder) => `${root}/${folder}/gantry/${id}/${v1}`);
  const found = [...places, `${root}/gantry/${id}/${v2}`].find((path) => existsSync(path));
  assert.ok(found, `${v1} or ${v2}`);
  return readFileSync(found, "utf8").trim();
}

test("update changes what runs, and what is started later", { skip }, () =>
  withBusybox(async (box) => {
    await runCounter(box, "box", "-m", "64m", "--pids-limit", "50");
    const memory = () => limitOf(box, "box", "memory.limit_in_bytes", "memory.max");
    const pids = () => limitOf(box, "box", "pids.max", "pids.max");
    assert.equal(await memory(), String(64 << 20));
    assert.equal(
      await box.must(["update", "-m", "100m", "--pids-limit", "70", "--cpu-shares", "512", "box"]),
      "box",
    );
    assert.deepEqual([await memory(), await pids()], [String(100 << 20), "70"]);
    const shown = await box.must([
      ...[
        "inspect",
        "-f",
        "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}",
        "box",
      ],
    ]);
    assert.equal(shown, `${100 << 20} 70 512`);
    await box.must(["restart", "-t", "0", "box"]);
    assert.deepEqual([await memory(), await pids()], [String(100 << 20), "70"]);
    await box.must(["update", "--pids-limit", "-1", "--cpus", "0.5", "box"]);
    assert.equal(await pids(), "max");
    assert.match(await limitOf(box, "box", "cpu.cfs_quota_us", "cpu.max"), /^50000( 100000)?$/);
    const refused = await box.gantry(["update", "-m", "1g", "box"]);
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /^gantry: Cannot update container [0-9a-f]{64}: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time\n$/,
    );
    assert.equal(await memory(), String(100 << 20));
    assert.match(
      (await box.gantry(["update", "--cpu-quota", "20000", "box"])).stderr,
      /CPU Quota cannot be updated as NanoCPUs has already been set/,
    );
    await box.must(["stop", "-t", "0", "box"]);
    await box.must(["update", "--memory", "80m", "--memory-swap", "80m", "box"]);
    await box.must(["start", "box"]);
    assert.equal(await memory(), String(80 << 20));
    await box.must(["pause", "box"]);
    await box.must(["update", "--cpuset-cpus", "0", "box"]);
    assert.equal(await limitOf(box, "box", "cpuset.cpus", "cpuset.cpus"), "0");
    await box.must(["rm", "-f", "box"]);
  }),
);

test("update gives a container that runs a restart policy, and takes it away", { skip }, () =>
  withBusybox(async (box) => {
    const script = "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done";
    await box.must(["run", "-d", "--name", "one", "busybox", "sh", "-c", script]);
    await until("it is up", async () => (await box.must(["logs", "one"])) === "up");
    const first = await state(box, "one", "Pid");
    await box.must(["update", "--restart", "on-failure:3", "one"]);
    const policy = [
      "inspect",
      "-f",
      "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
    ];
    assert.equal(await box.must([...policy, "one"]), "on-failure 3");
    process.kill(Number(first), "SIGTERM");
    // nobody asks for it: its shim has been told; and only the log is looked at
    await until("it runs again", async () => (await box.must(["logs", "one"])) === "up\nup");
    await until("another process", async () => !["0", first].includes(await state(box, "one", "Pid")));
    await box.must(["update", "--restart", "no", "one"]);
    process.kill(Number(await state(box, "one", "Pid")), "SIGTERM");
    assert.equal(await box.must(["wait", "one"]), "7");
    assert.equal(await state(box, "one", "Status"), "exited");
    await box.must(["rm", "one"]);
    await box.must(["create", "--rm", "--name", "two", "busybox"]);
    assert.match(
      (await box.gantry(["update", "--restart", "always", "two"])).stderr,
      /Restart policy cannot be updated because AutoRemove is enabled for the container/,
    );
    await box.must(["rm", "two"]);
    assert.equal((await box.gantry(["update", "--restart", "sometimes", "two"])).code, 125);
  }),
);

test("an update that the kernel refuses changes nothing", { skip }, () =>
  withBusybox(async (box) => {
    await runCounter(box, "box", "--cpuset-cpus", "0");
    const refused = await box.gantry(["update", "--cpu-shares", "333", "--cpuset-cpus", "4000", "box"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Cannot update container/);
    assert.equal(await limitOf(box, "box", "cpuset.cpus", "cpuset.cpus"), "0");
    assert.notEqual(await limitOf(box, "box", "cpu.shares", "cpu.weight"), "333");
    assert.equal(
      await box.must(["inspect", "-f", "{{.HostConfig.CpusetCpus}} {{.HostConfig.CpuShares}}", "box"]),
      "0 0",
    );
    await box.must(["rm", "-f", "box"]);
  }),
);

test("wait: for the next end, and for the removal", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "job", "busybox", "sh", "-c", "exit 3"]);
    assert.equal(await box.must(["wait", "job"]), "0", "it does not run");
    let told = "";
    const next = box.spawn(["wait", "--condition", "next-exit", "job"]);
    next.stdout!.on("data", (chunk) => {
      told += chunk;
    });
    const over = ended(next);
    let starts = 0;
    // the waiter may not have come so far: each further start is another chance
    const finished = until("the waiter has its answer", async () => {
      if (told !== "") return true;
      await box.must(["start", "-a", "job"]).catch(() => {});
      starts++;
      return false;
    });
    await finished;
    assert.equal(await over, 0);
    assert.equal(told, "3\n");
    assert.ok(starts > 0);
    const removal = box.spawn(["wait", "--condition", "removed", "job"]);
    let code = "";
    removal.stdout!.on("data", (chunk) => {
      code += chunk;
    });
    const gone = ended(removal);
    await until("it listens to the events", () => watches(removal.pid!));
    assert.equal(code, "");
    await box.must(["rm", "job"]);
    assert.equal(await gone, 0);
    assert.equal(code, "3\n");
    const bad = await box.gantry(["wait", "--condition", "sunny", "job"]);
    assert.equal(bad.code, 125);
  }),
);

test("what the OOM killer ends is told as such", { skip }, () =>
  withBusybox(async (box) => {
    const run = await box.gantry([
      ...["run", "--name", "hungry", "-m", "8m", "--memory-swap", "8m", "busybox"],
      ...["sh", "-c", "x=a; while :; do x=$x$x; done"],
    ]);
    assert.equal(run.code, 137);
    assert.equal(
      await box.must([
        "inspect",
        "-f",
        "{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}",
        "hungry",
      ]),
      "true 137 exited",
    );
    const events = await box.must([
      ...[
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "container=hungry",
        "--format",
        "{{.Action}}",
      ],
    ]);
    assert.equal(events, "create\nattach\nstart\noom\ndie");
    await box.must(["start", "hungry"]).catch(() => {});
    await box.must(["rm", "-f", "hungry"]);
  }),
);
