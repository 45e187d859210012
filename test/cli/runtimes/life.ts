/** What becomes of a container, and what is asked about it. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../lib/until.ts";
import { isOver } from "../../shim/reading.ts";
import { type Case, mountsBelow, remembered } from "./trial.ts";

/** As the kernel has them, in cgroups of version 1 or 2. */
function limitsOf(id: string): { readonly memory: string; readonly pids: string; readonly cpu: string } {
  const read = (v1: string, v2: string) => {
    const path = [
      `/sys/fs/cgroup/${v1.replace("/", `/gantry/${id}/`)}`,
      `/sys/fs/cgroup/gantry/${id}/${v2}`,
    ].find(existsSync);
    assert.ok(path, v1);
    return readFileSync(path, "utf8").trim().split(" ")[0]!;
  };
  return {
    memory: read("memory/memory.limit_in_bytes", "memory.max"),
    pids: read("pids/pids.max", "pids.max"),
    cpu: read("cpu/cpu.cfs_quota_us", "cpu.max"),
  };
}

export const lives: readonly Case[] = [
  {
    title: "its life: logs, exec, pause, stop, start again, kill",
    async run({ box, options, name }) {
      const script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done";
      await box.must(["run", "-d", "--name", "one", ...options, "busybox", "sh", "-c", script]);
      assert.equal(await box.must(["inspect", "-f", "{{.HostConfig.Runtime}}", "one"]), name);
      await until("it to print", async () => (await box.must(["logs", "one"])) === "up");
      assert.deepEqual(mountsBelow(box.dir), [], "its root is mounted where nobody else sees it");
      assert.match(await box.must(["exec", "one", "sh", "-c", "echo in; ps -o args"]), /^in\n[\s\S]*while :/);
      await box.must(["pause", "one"]);
      assert.match(await box.must(["ps"]), /\(Paused\)/);
      await box.must(["unpause", "one"]);
      const pid = Number(await box.must(["inspect", "-f", "{{.State.Pid}}", "one"]));
      await box.must(["stop", "one"]);
      assert.equal(await box.must(["inspect", "-f", "{{.State.ExitCode}}", "one"]), "5");
      assert.ok(isOver(pid));
      assert.equal(await box.must(["logs", "one"]), "up\nbye");
      assert.deepEqual(remembered(box), []);
      await box.must(["start", "one"]);
      await until("it to print again", async () => (await box.must(["logs", "one"])) === "up\nbye\nup");
      await box.must(["kill", "one"]);
      assert.equal(await box.must(["wait", "one"]), "137");
      await box.must(["rm", "one"]);
      await box.must(["run", "-d", "--rm", "--name", "two", ...options, "busybox", "true"]);
      await until("it to be removed", async () => (await box.must(["ps", "-aq"])) === "");
    },
  },
  {
    title: "pause, update, stats and top of what runs",
    async run({ box, options }) {
      const script = "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done";
      await box.must(["run", "-d", "--name", "box", ...options, "-m", "64m", "busybox", "sh", "-c", script]);
      const id = await box.must(["inspect", "-f", "{{.Id}}", "box"]);
      await until("it to print", async () => (await box.must(["logs", "box"])) === "up");
      assert.match(await box.must(["top", "box"]), /sh -c trap/);
      assert.equal(
        await box
          .must(["stats", "--no-stream", "--format", "{{.MemUsage}}", "box"])
          .then((text) => text.split(" / ")[1]),
        "64MiB",
      );
      await box.must([
        "update",
        "-m",
        "48m",
        "--memory-swap",
        "96m",
        "--pids-limit",
        "77",
        "--cpus",
        "0.5",
        "box",
      ]);
      assert.deepEqual(limitsOf(id), { memory: String(48 * 1024 * 1024), pids: "77", cpu: "50000" });
      assert.match(await box.must(["stats", "--no-stream", "--format", "{{.MemUsage}}", "box"]), / 48MiB$/);
      const refused = await box.gantry(["update", "-m", "1m", "box"]);
      assert.equal(refused.code, 1);
      assert.deepEqual(limitsOf(id), { memory: String(48 * 1024 * 1024), pids: "77", cpu: "50000" });
      await box.must(["pause", "box"]);
      assert.match((await box.gantry(["pause", "box"])).stderr, /already paused/);
      assert.match(await box.must(["ps"]), /\(Paused\)/);
      await box.must(["update", "--pids-limit", "78", "box"]);
      assert.equal(limitsOf(id).pids, "78");
      await box.must(["unpause", "box"]);
      assert.match((await box.gantry(["unpause", "box"])).stderr, /not paused/);
      await box.must(["kill", "-s", "USR1", "box"]);
      assert.equal(await box.must(["wait", "box"]), "9");
      // what was said while it ran counts for the next run
      await box.must(["start", "box"]);
      assert.equal(limitsOf(id).pids, "78");
      await box.must(["pause", "box"]);
      await box.must(["kill", "box"]);
      assert.equal(await box.must(["wait", "box"]), "137");
      await box.must(["rm", "box"]);
    },
  },
  {
    title: "cp both ways, diff, commit and export, while it runs and after",
    async run({ box, options, sh }) {
      await box.must([
        "run",
        "-d",
        "--name",
        "box",
        ...options,
        "busybox",
        "sh",
        "-c",
        "echo in > /made; sleep 1000",
      ]);
      await until("it to write", async () => (await box.must(["diff", "box"])).includes("A /made"));
      writeFileSync(join(box.dir, "note"), "from outside\n");
      for (const running of [true, false]) {
        if (!running) await box.must(["stop", "-t", "0", "box"]);
        await box.must(["cp", "box:/made", join(box.dir, "made")]);
        assert.equal(readFileSync(join(box.dir, "made"), "utf8"), "in\n");
        await box.must(["cp", join(box.dir, "note"), `box:/${running}`]);
        assert.match(await box.must(["diff", "box"]), new RegExp(`^A /${running}$`, "m"));
        await box.must(["commit", "box", `kept-${running}`]);
        await box.must(["export", "-o", join(box.dir, "all.tar"), "box"]);
      }
      const kept = ["run", "--rm", ...options, "kept-false", "cat", "/made", "/true", "/false"];
      assert.equal(await box.must(kept), "in\nfrom outside\nfrom outside");
      assert.equal(await sh("ls /made 2>&1 || true"), "ls: /made: No such file or directory");
      await box.must(["rm", "box"]);
    },
  },
  {
    title: "restart, a policy that restarts, health checks, and the log's formats",
    async run({ box, options }) {
      await box.must([
        "run",
        "-d",
        "--name",
        "box",
        ...options,
        "busybox",
        "sh",
        "-c",
        "echo up; exec sleep 1000",
      ]);
      await until("it to print", async () => (await box.must(["logs", "box"])) === "up");
      await box.must(["restart", "-t", "0", "box"]);
      await until("it to print again", async () => (await box.must(["logs", "box"])) === "up\nup");
      assert.match(await box.must(["logs", "-t", "--tail", "1", "box"]), /^\d{4}-\S+Z up$/);
      await box.must(["rm", "-f", "box"]);
      const job = ["run", "-d", "--name", "job", "--restart", "on-failure:2", ...options, "busybox"];
      await box.must([...job, "sh", "-c", "echo try; exit 4"]);
      const told = () => box.must(["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "job"]);
      await until("the last try", async () => (await told()) === "2 exited", 30_000);
      assert.equal(await box.must(["logs", "job"]), "try\ntry\ntry");
      await box.must(["rm", "job"]);
      const check = [
        "--health-cmd",
        "test -e /box/well",
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
      ];
      const web = ["run", "-d", "--name", "web", "-v", `${box.dir}:/box`, ...check, ...options, "busybox"];
      writeFileSync(join(box.dir, "well"), "");
      await box.must([...web, "sleep", "1000"]);
      const health = () => box.must(["inspect", "-f", "{{.State.Health.Status}}", "web"]);
      await until("it to be healthy", async () => (await health()) === "healthy", 30_000);
      rmSync(join(box.dir, "well"));
      await until("it to be unhealthy", async () => (await health()) === "unhealthy", 30_000);
      await box.must(["rm", "-f", "web"]);
    },
  },
];
