/** The same containers through other OCI runtimes: one list of cases, run by each of them. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { hasCrun } from "../kernel/bundle.ts";
import { command } from "../lib/command.ts";
import { needs, programPath, skipped } from "../lib/needs.ts";
import { gantryOciProgram, type Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { isOver } from "../shim/reading.ts";
import { withBusybox } from "./busybox.ts";

const root = needs("root");
const crun = "crun refuses this machine's hybrid cgroups, or is not here";
const runtimes: readonly (readonly [name: string, skip: string | false])[] = [
  ["gantry", root],
  ["runc", root || needs("runc")],
  ["crun", root || (hasCrun ? false : skipped(crun))],
  [gantryOciProgram, root || needs(gantryOciProgram)],
];

/** What a runtime remembers of containers. */
function remembered(box: Sandbox): readonly string[] {
  const dir = join(box.state, "runtimes");
  if (!existsSync(dir)) return [];
  return readdirSync(dir).flatMap((name) =>
    readdirSync(join(dir, name)).filter((entry) => !entry.startsWith(".")),
  );
}

/** None of a process that has ended. */
function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return text.split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function mountsBelow(dir: string): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(dir));
}

for (const [runtime, skip] of runtimes) {
  const name = runtime.split("/").at(-1)!;
  const options = ["--runtime", runtime];
  const within = (
    title: string,
    body: (box: Sandbox, sh: (script: string, ...more: string[]) => Promise<string>) => Promise<void>,
  ) =>
    test(`${name}: ${title}`, { skip, timeout: 120_000 }, () =>
      withBusybox(async (box) => {
        await body(box, (script, ...more) =>
          box.must(["run", "--rm", ...options, ...more, "busybox", "sh", "-c", script]),
        );
        assert.deepEqual(remembered(box), []);
        assert.deepEqual(mountsBelow(box.dir), []);
      }),
    );

  within("streams apart, stdin to its end, and the exit status", async (box) => {
    const run = ["run", "--rm", ...options];
    const both = await box.gantry([...run, "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert.deepEqual([both.stdout, both.stderr, both.code], ["out\n", "err\n", 7]);
    const fed = await box.gantry([...run, "-i", "busybox", "tr", "a-z", "A-Z"], { stdin: "hello\n" });
    assert.deepEqual([fed.stdout, fed.code], ["HELLO\n", 0]);
    const many = await box.must([
      ...run,
      "busybox",
      "sh",
      "-c",
      "head -c 3000000 /dev/zero | tr '\\0' x | wc -c",
    ]);
    assert.equal(many, "3000000");
    const large = await box.gantry([...run, "busybox", "sh", "-c", "head -c 3000000 /dev/zero"]);
    assert.equal(large.stdout.length, 3_000_000);
  });

  within("a program that is not there ends with 127, one that cannot be run with 126", async (box) => {
    for (const [program, status] of [
      ["nosuch", 127],
      ["/no/such", 127],
      ["/etc/passwd", 126],
    ] as const) {
      const failed = await box.gantry(["run", ...options, "busybox", program]);
      assert.equal(failed.code, status, failed.stderr);
      assert.match(
        failed.stderr,
        /unable to start container process|executable file|no such file|permission denied/i,
      );
    }
    assert.equal(await box.must(["ps", "-aq"]), "");
  });

  within("what was asked for of the process", async (box, sh) => {
    mkdirSync(join(box.dir, "shared"));
    writeFileSync(join(box.dir, "shared/note"), "from the host\n");
    const seen = await sh(
      [
        "id -u; pwd; echo $A; hostname; ulimit -n; cat /m/note",
        "touch /m/x 2>/dev/null || echo read-only mount; touch /x 2>/dev/null || echo read-only root",
        "cat /proc/sys/net/ipv4/ip_forward; grep -c . /proc/net/dev",
        "grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status",
      ].join("; "),
      ...[
        "-u",
        "1000:1000",
        "-w",
        "/tmp",
        "-e",
        "A=b",
        "-h",
        "named",
        "--ulimit",
        "nofile=123:456",
        "--read-only",
      ],
      ...["-v", `${join(box.dir, "shared")}:/m:ro`, "--sysctl", "net.ipv4.ip_forward=1"],
      ...["--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges"],
    );
    assert.equal(
      seen.replaceAll("\t", " "),
      [
        ...[
          "1000",
          "/tmp",
          "b",
          "named",
          "123",
          "from the host",
          "read-only mount",
          "read-only root",
          "1",
          "3",
        ],
        ...["CapBnd: 0000000000000001", "NoNewPrivs: 1", "Seccomp: 2"],
      ].join("\n"),
    );
    assert.match(await sh("mount -t tmpfs none /mnt || true; unshare -m true || true; ls /dev"), /null/);
  });

  within("limits are those of its cgroup", async (box) => {
    await box.must([
      ...["run", "-d", "--name", "limited", ...options, "-m", "32m", "--pids-limit", "50", "--cpus", "0.5"],
      ...["busybox", "sleep", "600"],
    ]);
    const id = await box.must(["inspect", "-f", "{{.Id}}", "limited"]);
    const read = (...paths: readonly string[]) => {
      const path = paths.find(existsSync);
      assert.ok(path, paths.join(", "));
      return readFileSync(path, "utf8").trim();
    };
    const v2 = `/sys/fs/cgroup/gantry/${id}`;
    assert.equal(
      read(`/sys/fs/cgroup/memory/gantry/${id}/memory.limit_in_bytes`, `${v2}/memory.max`),
      String(32 * 1024 * 1024),
    );
    assert.equal(read(`/sys/fs/cgroup/pids/gantry/${id}/pids.max`, `${v2}/pids.max`), "50");
    assert.match(read(`/sys/fs/cgroup/cpu/gantry/${id}/cpu.cfs_quota_us`, `${v2}/cpu.max`), /^50000/);
    await box.must(["rm", "-f", "limited"]);
    assert.equal(existsSync(`/sys/fs/cgroup/memory/gantry/${id}`), false);
  });

  within("its life: logs, exec, pause, stop, start again, kill", async (box) => {
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
  });

  within("namespaces of other containers and of a pod", async (box, sh) => {
    await box.must(["run", "-d", "--name", "donor", "--ipc", "shareable", "busybox", "sleep", "600"]);
    const donor = await box.must([
      "exec",
      "donor",
      "sh",
      "-c",
      "readlink /proc/self/ns/net; echo x > /dev/shm/note",
    ]);
    const joins = ["--network", "container:donor", "--ipc", "container:donor", "--pid", "container:donor"];
    const seen = await sh("readlink /proc/self/ns/net; cat /dev/shm/note; ps -o args", ...joins);
    assert.match(seen, new RegExp(`^${donor.replace(/[[\]]/g, "\\$&")}\nx\n[\\s\\S]*sleep 600`));
    await box.must(["rm", "-f", "donor"]);
    await box.must(["pod", "create", "--name", "web", "--share", "net,ipc,uts,pid"]);
    const first = await sh("readlink /proc/self/ns/net; hostname; ps -o args", "--pod", "web");
    assert.match(first, /^net:\[\d+\]\nweb\n[\s\S]*gantry-pause/);
    await box.must(["pod", "rm", "web"]);
  });

  within("a shim that is killed takes its container with it, and nothing stays", async (box) => {
    const id = await box.must(["run", "-d", "--name", "one", ...options, "busybox", "sleep", "600"]);
    const start = JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8")) as {
      pid: number;
      shim: number;
    };
    const status = readFileSync(`/proc/${start.shim}/status`, "utf8");
    assert.ok(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) < 1024, "the shim stays small");
    assert.equal(
      readlinkSync(`/proc/${start.shim}/ns/mnt`),
      readlinkSync("/proc/self/ns/mnt"),
      "it keeps no mount of the host in use",
    );
    process.kill(start.shim, "SIGKILL");
    await until("its end to be seen", async () => (await box.must(["ps", "-q"])) === "");
    assert.equal(
      await box.must(["inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "one"]),
      "137 shim was killed",
    );
    assert.ok(isOver(start.pid));
    assert.deepEqual(remembered(box), []);
    await box.must(["rm", "one"]);
  });

  within("clients and executors killed in the middle of a start leave nothing", async (box) => {
    const run = ["run", "-d", "--name", "one", ...options, "busybox", "sleep", "600"];
    for (const point of ["start-recorded", "started"]) {
      const dead = await box.gantry(run, { env: { GANTRY_FAULT: point } });
      assert.equal(dead.code, 137);
      await box.must(["rm", "-f", "one"]);
      assert.deepEqual(remembered(box), []);
    }
    const begun = performance.now();
    await box.must(run);
    const wholeMs = performance.now() - begun;
    await box.must(["rm", "-f", "one"]);
    for (let round = 0; round < 6; round++) {
      const client = box.spawn(run);
      const over = new Promise((resolve) => client.once("exit", resolve));
      const end = performance.now() + ((round + 2) / 8) * wholeMs;
      while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
      for (const child of childrenOf(client.pid!)) process.kill(child, "SIGKILL");
      client.kill("SIGKILL");
      await over;
      await until("it can be removed", async () => {
        const removed = await box.gantry(["rm", "-f", "one"]);
        return removed.code === 0 || /No such container/.test(removed.stderr);
      });
      await until("nothing to be left", async () => {
        await box.gantry(["doctor", "--fix"]);
        return remembered(box).length === 0 && readdirSync(join(box.root, "containers")).length === 0;
      });
    }
  });
}

test(
  "runtimes have names in the settings; one that is unknown is told in docker's words",
  { skip: root || needs("runc") },
  () =>
    withBusybox(async (box) => {
      const settings = join(box.dir, "settings.json");
      writeFileSync(settings, JSON.stringify({ runtimes: { mine: programPath("runc") } }));
      const env = { GANTRY_SETTINGS: settings };
      assert.equal(
        (await box.gantry(["run", "--rm", "--runtime", "mine", "busybox", "true"], { env })).code,
        0,
      );
      const unknown = await box.gantry(["run", "--rm", "--runtime", "nosuch", "busybox", "true"], { env });
      assert.equal(unknown.code, 125);
      assert.equal(unknown.stderr.split("\n")[0], "gantry: unknown or invalid runtime name: nosuch");
      const missing = await box.gantry([
        "run",
        "--rm",
        "--runtime",
        "/nonexistent/runtime",
        "busybox",
        "true",
      ]);
      assert.equal(missing.code, 125);
      assert.match(missing.stderr, /OCI runtime create failed: \/nonexistent\/runtime/);
      const plan = await box.must(["explain", "run", "--runtime", "runc", "busybox", "true"]);
      assert.match(
        plan,
        /run-runtime path=\S*runc args=\[\S*runc --root \S+\/runtimes\/runc .*create --bundle/,
      );
      assert.match(plan, /adopt-container pidFile=/);
      assert.equal(await box.must(["ps", "-aq"]), "");
    }),
);

test(
  "what runc itself remembers is nothing, once a container has ended",
  { skip: root || needs("runc") },
  () =>
    withBusybox(async (box) => {
      await box.must(["run", "-d", "--name", "one", "--runtime", "runc", "busybox", "sleep", "600"]);
      const list = () => command(["runc", "--root", join(box.state, "runtimes/runc"), "list", "-q"]);
      const id = await box.must(["inspect", "-f", "{{.Id}}", "one"]);
      assert.equal((await list()).stdout.trim(), id);
      await box.must(["rm", "-f", "one"]);
      assert.equal((await list()).stdout.trim(), "");
    }),
);
