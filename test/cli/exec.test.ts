/** `gantry exec` without a terminal. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

/** A sandbox with a container "box" that runs until it is removed. */
async function withContainer(
  body: (box: Sandbox, id: string) => Promise<void>,
  ...options: readonly string[]
): Promise<void> {
  await withBusybox(async (box) => {
    const id = await box.must(["run", "-d", "--name", "box", ...options, "busybox", "sleep", "1000"]);
    try {
      await body(box, id);
    } finally {
      await box.must(["rm", "-f", "box"]);
    }
  });
}

/** Directories of execs that are there. */
const execsOf = (box: Sandbox, id: string) => readdirSync(join(box.state, "containers", id, "execs"));

test("exec keeps stdout and stderr apart and ends with the status of its program", { skip }, () =>
  withContainer(async (box, id) => {
    const { code, stdout, stderr } = await box.gantry([
      "exec",
      "box",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 7",
    ]);
    assert.deepEqual([code, stdout, stderr], [7, "out\n", "err\n"]);
    assert.equal((await box.gantry(["exec", "box", "sh", "-c", "kill -TERM $$"])).code, 143);
    await until("the files of execs to go", () => execsOf(box, id).length === 0);
  }),
);

test("exec joins everything of the container", { skip }, () =>
  withContainer(
    async (box) => {
      const facts =
        "hostname; pwd; ulimit -n; cat /proc/self/cgroup; grep -E 'Cap|Seccomp:|NoNew' /proc/self/status";
      const options = ["--hostname", "inside", "-w", "/tmp", "--ulimit", "nofile=99"];
      const own = await box.must(["run", "--rm", ...options, "busybox", "sh", "-c", facts]);
      assert.equal(await box.must(["exec", "box", "sh", "-c", facts]), own);
      const spaces = (pid: string) =>
        box.must([
          "exec",
          "box",
          "sh",
          "-c",
          `for n in cgroup ipc mnt net pid user uts; do readlink /proc/${pid}/ns/$n; done`,
        ]);
      assert.equal(await spaces("self"), await spaces("1"));
    },
    ...["--hostname", "inside", "-w", "/tmp", "--ulimit", "nofile=99"],
  ),
);

test("exec -e, --env-file, -u, -w and --privileged", { skip }, () =>
  withContainer(async (box) => {
    const file = join(box.dir, "env");
    writeFileSync(file, "A=file\nB=file\n");
    const shown = await box.must([
      "exec",
      "--env-file",
      file,
      "-e",
      "B=option",
      "-e",
      "FROM_IMAGE",
      "box",
      "env",
    ]);
    const lines = shown.split("\n");
    assert.ok(lines.includes("A=file") && lines.includes("B=option"), shown);
    assert.ok(!lines.some((line) => line.startsWith("FROM_IMAGE") || line.startsWith("TERM")), shown);
    const asUser = await box.must([
      "exec",
      "-u",
      "user",
      "box",
      "sh",
      "-c",
      "id -un; id -G; echo $HOME; echo to stdout > /dev/stdout",
    ]);
    assert.equal(asUser, "user\n1000 10\n/home/user\nto stdout");
    assert.equal(await box.must(["exec", "-u", "5:6", "box", "sh", "-c", "id -u; id -G"]), "5\n6");
    assert.equal(await box.must(["exec", "-w", "/etc/../tmp", "box", "pwd"]), "/tmp");
    const effective = (...options: readonly string[]) =>
      box.must(["exec", ...options, "box", "grep", "CapEff", "/proc/self/status"]);
    const [own, more, none] = [
      await effective(),
      await effective("--privileged"),
      await effective("-u", "1000"),
    ];
    assert.notEqual(own, more);
    assert.match(own, /a80425fb$/);
    assert.match(none, /\t0+$/);
  }),
);

test("exec says what is wrong, with docker's exit statuses", { skip }, () =>
  withContainer(async (box, id) => {
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [
        ["box", "nosuch"],
        127,
        /^gantry: OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in \$PATH\n$/,
      ],
      [["box", "/no/such"], 127, /exec: "\/no\/such": stat \/no\/such: no such file or directory\n$/],
      [["box", "/etc/passwd"], 126, /exec: "\/etc\/passwd": permission denied\n$/],
      [["box", "/etc"], 126, /is a directory\n$/],
      [["-d", "box", "nosuch"], 127, /executable file not found/],
      [["-w", "/no/such", "box", "true"], 127, /chdir to cwd \("\/no\/such"\).*no such file or directory/],
      [
        ["-w", "tmp", "box", "true"],
        1,
        /the working directory 'tmp' is invalid, it needs to be an absolute path/,
      ],
      [
        ["-u", "nobody-here", "box", "true"],
        1,
        /unable to find user nobody-here: no matching entries in passwd file/,
      ],
      [["nosuch", "true"], 1, /^gantry: No such container: nosuch\n$/],
      [["--bogus", "box", "true"], 125, /^unknown flag: --bogus\n/],
      [["box"], 1, /'gantry exec' requires at least 2 arguments/],
    ];
    for (const [args, code, message] of cases) {
      const outcome = await box.gantry(["exec", ...args]);
      assert.match(outcome.stderr, message, args.join(" "));
      assert.equal(outcome.code, code, args.join(" "));
    }
    await until("the files of execs to go", () => execsOf(box, id).length === 0);
    await box.must(["create", "--name", "resting", "busybox"]);
    const resting = await box.gantry(["exec", "resting", "true"]);
    assert.match(resting.stderr, /^gantry: container [0-9a-f]{64} is not running\n$/);
    assert.equal(resting.code, 1);
    await box.must(["pause", "box"]);
    const paused = await box.gantry(["exec", "box", "true"]);
    assert.match(
      paused.stderr,
      /^gantry: container [0-9a-f]{64} is paused, unpause the container before exec\n$/,
    );
    assert.equal(paused.code, 1);
    await box.must(["unpause", "box"]);
    await box.must(["rm", "resting"]);
  }),
);

test("exec -i hands stdin over to its end; without it the program reads nothing", { skip }, () =>
  withContainer(async (box) => {
    const text = "0123456789\n".repeat(100_000);
    const { stdout, code } = await box.gantry(["exec", "-i", "box", "cat"], { stdin: text });
    assert.equal(code, 0);
    assert.ok(stdout === text, `${stdout.length} of ${text.length} characters`);
    assert.equal((await box.gantry(["exec", "box", "cat"], { stdin: "lost" })).stdout, "");
    // a program that takes no more of it
    assert.equal(
      (await box.gantry(["exec", "-i", "box", "head", "-c", "5"], { stdin: text })).stdout,
      "01234",
    );
  }),
);

test("a signal to exec is one to its program", { skip }, () =>
  withContainer(async (box) => {
    const script = "trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    const child = box.spawn(["exec", "box", "sh", "-c", script]);
    let printed = "";
    child.stdout!.on("data", (bytes: Buffer) => {
      printed += String(bytes);
    });
    await until("the program to be ready", () => printed === "ready\n");
    child.kill("SIGUSR1");
    assert.equal(await ended(child), 5);
    assert.equal(printed, "ready\ngot it\n");
  }),
);

test("what an exec leaves in the background does not hold it up for long", { skip }, () =>
  withContainer(async (box) => {
    const { stdout, ms } = await box.gantry(["exec", "box", "sh", "-c", "sleep 500 & echo done"]);
    assert.equal(stdout, "done\n");
    assert.ok(ms < 20_000, `${ms} ms`);
    assert.match(await box.must(["exec", "box", "ps"]), /sleep 500/);
  }),
);

test("exec -d outlives its client, and inspect tells of it", { skip }, () =>
  withContainer(async (box) => {
    const { stdout, code } = await box.gantry([
      "exec",
      "-d",
      "box",
      "sh",
      "-c",
      "echo $$ > /tmp/pid; exec sleep 600",
    ]);
    assert.deepEqual([stdout, code], ["", 0]);
    const pid = await until("the program to begin", async () =>
      (await box.gantry(["exec", "box", "cat", "/tmp/pid"])).stdout.trim(),
    );
    const ids = JSON.parse(await box.must(["inspect", "-f", "{{json .ExecIDs}}", "box"]));
    assert.equal(ids.length, 1);
    await box.must(["exec", "box", "kill", pid]);
    await until(
      "its end",
      async () => (await box.must(["inspect", "-f", "{{json .ExecIDs}}", "box"])) === "null",
    );
  }),
);

test("events tell of an exec, its end and its status", { skip }, () =>
  withContainer(async (box) => {
    await box.gantry(["exec", "box", "sh", "-c", "exit 3"]);
    const lines = await box.must(["events", "--since", "1h", "--until", "0s", "--format", "json"]);
    const told = lines
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter(({ Action }) => Action.startsWith("exec_"))
      .map(({ Action, Actor }) => [Action, Actor.Attributes.command, Actor.Attributes.exitCode]);
    assert.deepEqual(told, [
      ["exec_create", "sh -c exit 3", undefined],
      ["exec_start", "sh -c exit 3", undefined],
      ["exec_die", undefined, "3"],
    ]);
  }),
);

test("execs end with their container, and nothing of them is left", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    const child = box.spawn(["exec", "box", "sh", "-c", "echo ready; exec sleep 1000"]);
    const over = ended(child);
    await once(child.stdout!, "data");
    await box.must(["kill", "box"]);
    assert.equal(await over, 137);
    await box.must(["wait", "box"]);
    await box.must(["rm", "box"]);
  }),
);
