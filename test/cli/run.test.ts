import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

test("run prints what the container prints and ends with its status", { skip }, () =>
  withBusybox(async (box) => {
    const hello = await box.gantry(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert.deepEqual([hello.stdout, hello.stderr, hello.code], ["out\n", "err\n", 7]);
    const killed = await box.gantry([
      "run",
      "--rm",
      "busybox",
      "sh",
      "-c",
      "kill -9 0 & kill -9 $$; sleep 5",
    ]);
    assert.ok([0, 137].includes(killed.code), `process 1 cannot kill itself: ${killed.code}`);
    assert.equal(await box.must(["ps", "-aq"]), "");
  }),
);

test(
  "a command that is not there ends with 127, one that cannot be run with 126, and nothing is left",
  { skip },
  () =>
    withBusybox(async (box) => {
      const missing = await box.gantry(["run", "busybox", "nosuch"]);
      assert.equal(missing.code, 127);
      assert.match(missing.stderr, /exec: "nosuch": executable file not found in \$PATH/);
      assert.match(missing.stderr, /\n\nRun 'gantry run --help' for more information\n$/);
      const path = await box.gantry(["run", "busybox", "/no/such"]);
      assert.equal(path.code, 127);
      assert.match(path.stderr, /exec: "\/no\/such": (stat \/no\/such: )?no such file or directory/);
      const denied = await box.gantry(["run", "busybox", "/etc/passwd"]);
      assert.equal(denied.code, 126);
      assert.match(denied.stderr, /exec: "\/etc\/passwd": permission denied/);
      const directory = await box.gantry(["run", "busybox", "/etc"]);
      assert.equal(directory.code, 126);
      assert.match(directory.stderr, /(permission denied|is a directory)/);
      assert.equal(await box.must(["ps", "-aq"]), "");
    }),
);

test("mistakes of the user end with 125 and say what is wrong", { skip }, () =>
  withBusybox(async (box) => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["--bogus", "busybox"], /^unknown flag: --bogus\n\nUsage: {2}gantry run \[OPTIONS\] IMAGE/],
      [["-m", "5x", "busybox"], /^invalid argument "5x" for "-m, --memory" flag: invalid suffix: 'x'/],
      [["-m", "1m", "busybox"], /^gantry: Minimum memory limit allowed is 6MB/],
      [["--name", "bad/name", "busybox"], /^gantry: Invalid container name \(bad\/name\), only/],
      [
        ["-u", "nobody-here", "busybox"],
        /unable to find user nobody-here: no matching entries in passwd file/,
      ],
      [
        ["-w", "relative", "busybox"],
        /the working directory 'relative' is invalid, it needs to be an absolute path/,
      ],
      [["--cap-add", "CAP_BOGUS", "busybox"], /bogus/i],
      [["--pull", "never", "nosuch"], /^gantry: No such image: nosuch:latest\n/],
      [["--pull", "never", "--platform", "linux/s390x", "busybox"], /not for linux\/s390x\n/],
      [["--cpus", "4096", "busybox"], /^gantry: range of CPUs is from 0\.01 to \d+\.00, as there are only/],
      [["-t", "--detach-keys", "ctrl-1", "busybox"], /^gantry: Invalid detach keys \(ctrl-1\) provided\n/],
      [["-p", "80:80", "busybox"], /published ports are not available yet/],
      [
        ["--mount", "type=bind,source=/nonexistent/x,target=/x", "busybox"],
        /^gantry: invalid mount config for type "bind": bind source path does not exist: \/nonexistent\/x\n/,
      ],
      [["-v", "/tmp:/a", "-v", "/tmp:/a", "busybox"], /Duplicate mount point: \/a/],
      [["UPPER"], /must be lower ?case/],
    ];
    for (const [args, message] of cases) {
      const outcome = await box.gantry(["run", ...args]);
      assert.match(outcome.stderr, message, args.join(" "));
      assert.equal(outcome.code, 125, args.join(" "));
    }
    assert.equal((await box.gantry(["run"])).code, 1);
    assert.equal(await box.must(["ps", "-aq"]), "");
  }),
);

test("a name belongs to one container", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["run", "-d", "--name", "web", "busybox", "sleep", "60"]);
    assert.match(id, /^[0-9a-f]{64}$/);
    const second = await box.gantry(["run", "--name", "web", "busybox", "true"]);
    assert.equal(second.code, 125);
    assert.ok(
      second.stderr.startsWith(
        `gantry: Conflict. The container name "/web" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
      ),
      second.stderr,
    );
    await box.must(["rm", "-f", "web"]);
    await box.must(["run", "--rm", "--name", "web", "busybox", "true"]);
  }),
);

test("two commands that want one name at the same time: one gets it", { skip }, () =>
  withBusybox(async (box) => {
    const all = await Promise.all(
      Array.from({ length: 4 }, () => box.gantry(["run", "-d", "--name", "one", "busybox", "sleep", "60"])),
    );
    assert.deepEqual(all.map(({ code }) => code).sort(), [0, 125, 125, 125]);
    assert.equal((await box.must(["ps", "-aq"])).split("\n").length, 1);
    await box.must(["rm", "-f", "one"]);
  }),
);

test("limits stand in the files of the container's cgroups", { skip }, () =>
  withBusybox(async (box) => {
    const script =
      "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max 2>/dev/null || cat memory.max cpu.max pids.max";
    const limits = ["-m", "100m", "--cpus", "2", "--pids-limit", "50", "--ulimit", "nofile=100:200"];
    const shown = await box.must(["run", "--rm", ...limits, "busybox", "sh", "-c", `${script}; ulimit -n`]);
    assert.match(shown, /^104857600\n200000(?: 100000)?\n50\n100$/);
  }),
);

test("a container has its own names, processes, network and root", { skip }, () =>
  withBusybox(async (box) => {
    const lines = (text: string) => text.split("\n");
    const [hostname, pid, links, root] = lines(
      await box.must([
        "run",
        "--rm",
        "--hostname",
        "inside",
        "busybox",
        "sh",
        "-c",
        "hostname; echo $$; ls /sys/class/net | xargs; ls / | xargs",
      ]),
    );
    assert.deepEqual([hostname, pid, links], ["inside", "1", "lo"]);
    assert.equal(root, "bin dev etc home proc root sys tmp var");
    const host = await box.must(["run", "--rm", "--network", "host", "busybox", "cat", "/proc/net/dev"]);
    assert.equal(lines(host).length, lines(readFileSync("/proc/net/dev", "utf8").trimEnd()).length);
  }),
);

test("environment: image, file and option in the order of precedence", { skip }, () =>
  withBusybox(async (box) => {
    const file = join(box.dir, "env");
    writeFileSync(file, "# none\nA=file\nB=file\nCLIENT\n");
    const shown = await box.must(
      ["run", "--rm", "--env-file", file, "-e", "B=option", "-e", "FROM_IMAGE=no", "busybox", "env"],
      { env: { CLIENT: "mine" } },
    );
    for (const line of ["A=file", "B=option", "CLIENT=mine", "FROM_IMAGE=no"])
      assert.ok(shown.split("\n").includes(line), line);
    const without = await box.must(["run", "--rm", "-e", "FROM_IMAGE", "busybox", "env"]);
    assert.ok(!without.includes("FROM_IMAGE"), "-e NAME takes away what neither side has");
    assert.match(shown, /^PATH=/m);
    assert.match(shown, /^HOME=\/root$/m);
  }),
);

test("mounts: bind, read-only, tmpfs, and a root that cannot be written", { skip }, () =>
  withBusybox(async (box) => {
    const source = join(box.dir, "source");
    mkdirSync(source);
    writeFileSync(join(source, "file"), "content\n");
    const made = join(box.dir, "made/by/gantry");
    const run = (...args: string[]) => box.gantry(["run", "--rm", ...args]);
    assert.equal((await run("-v", `${source}:/s:ro`, "busybox", "cat", "/s/file")).stdout, "content\n");
    assert.notEqual((await run("-v", `${source}:/s:ro`, "busybox", "touch", "/s/x")).code, 0);
    assert.equal((await run("-v", `${made}:/m`, "busybox", "touch", "/m/x")).code, 0);
    assert.ok(existsSync(join(made, "x")));
    assert.equal(
      (await run("--mount", `type=bind,src=${source},dst=/s`, "busybox", "cat", "/s/file")).stdout,
      "content\n",
    );
    assert.match((await run("--tmpfs", "/t:size=1m", "busybox", "df", "/t")).stdout, /tmpfs +1024 /);
    const readOnly = await run("--read-only", "busybox", "touch", "/x");
    assert.match(readOnly.stderr, /Read-only file system/);
  }),
);

test("user, working directory, entrypoint and capabilities", { skip }, () =>
  withBusybox(async (box) => {
    const run = (...args: string[]) => box.must(["run", "--rm", ...args]);
    assert.match(
      await run("-u", "user", "busybox", "id"),
      /^uid=1000\(user\) gid=1000\(user\) groups=.*10\(wheel\)/,
    );
    assert.match(await run("-u", "5:6", "busybox", "id"), /^uid=5 gid=6/);
    assert.equal(await run("-w", "/made/here", "busybox", "pwd"), "/made/here");
    assert.equal(await run("--entrypoint", "echo", "busybox", "a", "b"), "a b");
    const capabilities = (...args: string[]) =>
      run(...args, "busybox", "grep", "CapEff", "/proc/self/status");
    assert.match(await capabilities("--cap-drop", "ALL"), /\t0000000000000000$/);
    assert.match(await capabilities("--cap-drop", "ALL", "--cap-add", "NET_RAW"), /\t0000000000002000$/);
    assert.match(await run("--privileged", "busybox", "sh", "-c", "ls -l /dev | wc -l"), /^([2-9]\d|\d{3})$/);
    assert.match(
      await run("--security-opt", "no-new-privileges", "busybox", "grep", "NoNewPrivs", "/proc/1/status"),
      /1$/,
    );
    assert.match(
      await run("--security-opt", "seccomp=unconfined", "busybox", "grep", "^Seccomp:", "/proc/1/status"),
      /0$/,
    );
    assert.match(await run("busybox", "grep", "^Seccomp:", "/proc/1/status"), /2$/);
    assert.match(await run("--init", "busybox", "ps"), /^ +1 root .*init/m);
  }),
);

test("-i hands standard input to the container, to its end", { skip }, () =>
  withBusybox(async (box) => {
    const upper = await box.gantry(["run", "--rm", "-i", "busybox", "tr", "a-z", "A-Z"], {
      stdin: "hello\n",
    });
    assert.deepEqual([upper.stdout, upper.code], ["HELLO\n", 0]);
    const big = "x".repeat(3_000_000);
    const counted = await box.gantry(["run", "--rm", "-i", "busybox", "wc", "-c"], { stdin: big });
    assert.equal(counted.stdout.trim(), "3000000");
    const none = await box.gantry(["run", "--rm", "busybox", "cat"], { stdin: "hello\n" });
    assert.deepEqual([none.stdout, none.code], ["", 0]);
  }),
);

test("output is whole and in order, also when it is large and the reader slow", { skip }, () =>
  withBusybox(async (box) => {
    const { stdout, code } = await box.gantry(["run", "--rm", "busybox", "seq", "1", "300000"]);
    assert.equal(code, 0);
    const lines = stdout.split("\n");
    assert.equal(lines.length, 300_001);
    assert.ok(lines.slice(0, -1).every((line, index) => line === String(index + 1)));
  }),
);

test("a reader that goes ends the container as it would end any program of a pipeline", { skip }, () =>
  withBusybox(async (box) => {
    const client = box.spawn(["run", "--rm", "busybox", "yes"]);
    const end = ended(client);
    await new Promise((resolve) => client.stdout!.once("data", resolve));
    client.stdout!.destroy();
    assert.equal(await end, 141);
    assert.equal(await box.must(["ps", "-aq"]), "");
  }),
);

test("signals of the client reach the container", { skip }, () =>
  withBusybox(async (box) => {
    const script =
      "trap 'echo got TERM; exit 3' TERM; trap 'echo got USR1' USR1; echo ready; while :; do sleep 0.05; done";
    const client = box.spawn(["run", "--rm", "busybox", "sh", "-c", script]);
    const end = ended(client);
    let output = "";
    client.stdout!.on("data", (chunk) => {
      output += chunk;
    });
    await until("the container is ready", () => output.includes("ready"));
    client.kill("SIGUSR1");
    await until("USR1 has arrived", () => output.includes("got USR1"));
    client.kill("SIGTERM");
    assert.equal(await end, 3);
    assert.match(output, /got TERM/);
  }),
);

test("an impatient user ends the client with a third interrupt", { skip }, () =>
  withBusybox(async (box) => {
    const client = box.spawn([
      "run",
      "--name",
      "deaf",
      "busybox",
      "sh",
      "-c",
      "trap '' INT; echo ready; sleep 60",
    ]);
    const end = ended(client);
    await new Promise((resolve) => client.stdout!.once("data", resolve));
    for (let count = 0; count < 3; count++) {
      client.kill("SIGINT");
      await new Promise((later) => setTimeout(later, 50));
    }
    assert.equal(await end, 130);
    assert.match(await box.must(["ps", "--format", "{{.Names}} {{.State}}"]), /^deaf running$/);
    await box.must(["rm", "-f", "deaf"]);
  }),
);

test("--cidfile holds the id, and must not be there before", { skip }, () =>
  withBusybox(async (box) => {
    const path = join(box.dir, "cid");
    const id = await box.must(["run", "-d", "--rm", "--cidfile", path, "busybox", "sleep", "60"]);
    assert.equal(readFileSync(path, "utf8"), id);
    const again = await box.gantry(["run", "--rm", "--cidfile", path, "busybox", "true"]);
    assert.equal(again.code, 125);
    assert.match(
      again.stderr,
      /^gantry: container ID file found, make sure the other container isn't running or delete/,
    );
    const other = join(box.dir, "other");
    assert.equal((await box.gantry(["run", "--cidfile", other, "busybox", "nosuch"])).code, 127);
    assert.equal(existsSync(other), false);
    await box.must(["rm", "-f", id.slice(0, 12)]);
  }),
);
