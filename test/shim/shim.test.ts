/** What a shim promises about the life of its container, with real processes. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isGantryError } from "../../src/base/error.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { encodeRequest } from "../../src/launch/messages.ts";
import { openTask } from "../../src/tasks/open-task.ts";
import { readStartRecord } from "../../src/tasks/records.ts";
import { recover } from "../../src/tasks/recover.ts";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { start, withDir } from "./container.ts";
import { isOver, logged, memoryOf, sanitized, shimPid, untilOver } from "./reading.ts";

const root = { skip: needs("root"), timeout: 60_000 };
const pids = "/sys/fs/cgroup/pids";

test("the exit status comes over the wait, from the record, and stays after the shim", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["sh", "-c", "exit 7"]);
    const exit = await task.wait();
    assert.equal(exit.code, 7);
    assert.equal(exit.signal, 0);
    assert.equal(exit.oomKilled, false);
    assert.match(exit.exitedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/);
    assert.deepEqual(await task.wait(), exit);
    assert.equal(task.state().kind, "exited");
  }),
);

test("the launching connection shows output from the first byte on", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(dir, ["sh", "-c", "printf one; printf two >&2"], {
      attach: { stdout: true, stderr: true },
    });
    const got = { stdout: "", stderr: "" };
    for await (const { stream, bytes } of attachment!.output) got[stream] += Buffer.from(bytes).toString();
    assert.deepEqual(got, { stdout: "one", stderr: "two" });
    assert.equal((await task.wait()).code, 0);
    assert.equal(existsSync(join(dir, "shim.sock")), false);
    const log = readFileSync(join(dir, "log"), "utf8");
    assert.match(log, /^\{"log":"one","stream":"stdout","time":"[^"]+Z"\}$/m);
    assert.match(log, /^\{"log":"two","stream":"stderr","time":"[^"]+Z"\}$/m);
  }),
);

test("an idle container costs at most 1 MB, and no client leaves anything behind", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["sleep", "100"]);
    const pid = shimPid(dir);
    const before = memoryOf(pid);
    for (let round = 0; round < 200; round++) {
      await task.kill(0);
      const attachment = await task.attach({ stdout: true, stdin: true });
      await attachment[Symbol.asyncDispose]();
    }
    const after = memoryOf(pid);
    console.log(
      `    shim of an idle container: Rss ${before.rss} KiB, Pss ${before.pss} KiB; later ${after.rss}, ${after.pss}`,
    );
    if (!sanitized) {
      assert.ok(before.rss <= 1000, `${before.rss} KiB`);
      assert.ok(after.rss <= before.rss + 64, `grew from ${before.rss} to ${after.rss} KiB`);
    }
    await task.kill(9);
    assert.equal((await task.wait()).code, 137);
  }),
);

test("signals arrive, their end is told as 128 + n, and a container that is over takes none", root, () =>
  withDir(async (dir) => {
    const script = "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.02; done";
    const { task, attachment } = await start(dir, ["sh", "-c", script], { attach: { stdout: true } });
    let text = "";
    for await (const { bytes } of attachment!.output) {
      text += Buffer.from(bytes).toString();
      if (text === "ready\n") await task.kill(10);
      if (text === "ready\nusr1\n") await task.kill(9);
    }
    const exit = await task.wait();
    assert.deepEqual([exit.code, exit.signal], [137, 9]);
    await assert.rejects(task.kill(15), (error) => isGantryError(error, "failed-precondition"));
    await assert.rejects(task.attach({ stdout: true }), (error) =>
      isGantryError(error, "failed-precondition"),
    );
  }),
);

test("a signal number that does not exist is an invalid argument", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["sleep", "100"]);
    await assert.rejects(task.kill(65), (error) => isGantryError(error, "invalid-argument"));
    await assert.rejects(
      task.resize(24, 80),
      (error) => isGantryError(error) && error.detail.errno === "ENOTTY",
    );
    await task.kill(9);
    await task.wait();
  }),
);

test(
  "a signal to all reaches what runs beside the first process, by its cgroup",
  {
    ...root,
    skip: needs("root", `${pids}/cgroup.procs`),
  },
  () =>
    withDir(async (dir) => {
      const cgroups = [{ mount: pids, path: `/gantry-shim-test-${process.pid}/all` }];
      const script = "setsid sleep 1000 & echo $!; exec sleep 1000";
      const { task, attachment } = await start(dir, ["sh", "-c", script], {
        hostPids: true,
        cgroups,
        attach: { stdout: true },
        cleanup: [{ op: "remove-cgroup", where: "", mount: pids, path: `/gantry-shim-test-${process.pid}` }],
      });
      const first = await attachment!.output[Symbol.asyncIterator]().next();
      const sibling = Number(Buffer.from(first.value!.bytes).toString());
      assert.ok(sibling > 1 && !isOver(sibling));
      await task.kill(15, { all: true });
      await untilOver(sibling);
      assert.equal((await task.wait()).code, 143);
      assert.equal(existsSync(`${pids}/gantry-shim-test-${process.pid}`), false);
    }),
);

test(
  "a signal to all reaches the others also when the first process is over",
  {
    ...root,
    skip: needs("root", `${pids}/cgroup.procs`),
  },
  () =>
    withDir(async (dir) => {
      const cgroups = [{ mount: pids, path: `/gantry-shim-test-${process.pid}-orphan` }];
      // the clean-up, which comes when the time for its output is over, would end it without a word
      const other = `trap "echo told > ${dir}/told; exit" TERM; echo up; while :; do sleep 0.02; done`;
      const { task, attachment } = await start(
        dir,
        ["sh", "-c", `setsid sh -c '${other}' & read go; exit 2`],
        {
          hostPids: true,
          cgroups,
          stdin: true,
          attach: { stdin: true },
        },
      );
      await until("the other process to be ready", () => logged(dir) === "up\n");
      await attachment!.write(Buffer.from("go\n"));
      await until("the first process to end", () => isOver(readStartRecord(dir)!.init.pid));
      await task.kill(15, { all: true });
      await until("the other process to be told", () => existsSync(join(dir, "told")));
      assert.equal((await task.wait()).code, 2);
    }),
);

const freezers = { 1: "/sys/fs/cgroup/freezer", 2: "/sys/fs/cgroup/unified" } as const;
const states = {
  1: { file: "freezer.state", thawed: "THAWED", frozen: "FROZEN" },
  2: { file: "cgroup.freeze", thawed: "0", frozen: "1" },
} as const;

for (const version of [1, 2] as const)
  test(
    `a container is held in the cgroup that the plan names, until the last who holds it goes: v${version}`,
    { ...root, skip: needs("root", `${freezers[version]}/cgroup.procs`) },
    () =>
      withDir(async (dir) => {
        const path = `/gantry-shim-test-${process.pid}-hold`;
        const other = version === 1 ? 2 : 1;
        const mounts = [freezers[version], ...(existsSync(freezers[other]) ? [freezers[other]] : [])];
        const { task } = await start(dir, ["sleep", "1000"], {
          cgroups: mounts.map((mount) => ({ mount, path })),
          freezer: version,
        });
        const state = (of: 1 | 2) => readFileSync(`${freezers[of]}${path}/${states[of].file}`, "utf8").trim();
        const { thawed, frozen } = states[version];
        const [first, second] = [await task.hold(), await task.hold()];
        await until("it to stand still", () => state(version) === frozen);
        if (mounts.length > 1) assert.equal(state(other), states[other].thawed);
        await first[Symbol.asyncDispose]();
        assert.equal(state(version), frozen);
        await second[Symbol.asyncDispose]();
        await until("it to go on", () => state(version) === thawed);
        await task.kill(9);
        await task.wait();
      }),
  );

test(
  "a container whose plan names no freezer cannot be held",
  { ...root, skip: needs("root", `${pids}/cgroup.procs`) },
  () =>
    withDir(async (dir) => {
      const cgroups = [{ mount: pids, path: `/gantry-shim-test-${process.pid}-free` }];
      const { task } = await start(dir, ["sleep", "1000"], { cgroups });
      await assert.rejects(task.hold(), (error) => isGantryError(error) && error.detail.errno === "ENOENT");
      await task.kill(9);
      await task.wait();
    }),
);

test("a shim hands SIGTERM on as the container's stop signal and takes no other to heart", root, () =>
  withDir(async (dir) => {
    const script = "trap 'echo quit; exit 5' QUIT; echo ready; while :; do sleep 0.02; done";
    const { task } = await start(dir, ["sh", "-c", script], { stopSignal: 3 });
    const pid = shimPid(dir);
    await until("the program to be ready", () => logged(dir) === "ready\n");
    for (const signal of ["SIGHUP", "SIGINT", "SIGUSR1", "SIGPIPE", "SIGTSTP"]) process.kill(pid, signal);
    await task.kill(0);
    process.kill(pid, "SIGTERM");
    assert.equal((await task.wait()).code, 5);
    assert.equal(logged(dir), "ready\nquit\n");
  }),
);

test("stdin arrives whole and in order, and ends when it is ended", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(dir, ["sh", "-c", "sha256sum; echo over"], {
      stdin: true,
      attach: { stdin: true, stdout: true },
    });
    const { createHash, randomBytes } = await import("node:crypto");
    const hash = createHash("sha256");
    for (let round = 0; round < 40; round++) {
      const bytes = randomBytes(500_000);
      hash.update(bytes);
      await attachment!.write(bytes);
    }
    await attachment!.endStdin();
    let text = "";
    for await (const { bytes } of attachment!.output) text += Buffer.from(bytes).toString();
    assert.equal(text, `${hash.digest("hex")}  -\nover\n`);
    assert.equal((await task.wait()).code, 0);
  }),
);

test("stdin that nobody reads stops its writer only: signals pass, output passes, the end comes", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(dir, ["sh", "-c", "sleep 0.3; echo here; sleep 100"], {
      stdin: true,
      attach: { stdin: true, stdout: true },
    });
    let blocked = true;
    const writing = attachment!.write(Buffer.alloc(3_000_000)).then(() => {
      blocked = false;
    });
    const first = await attachment!.output[Symbol.asyncIterator]().next();
    assert.equal(Buffer.from(first.value!.bytes).toString(), "here\n");
    assert.equal(blocked, true);
    await task.kill(9);
    assert.equal((await task.wait()).code, 137);
    await attachment![Symbol.asyncDispose]();
    await writing;
  }),
);

test("a container that closes its stdin does not stop who writes there", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(dir, ["sh", "-c", "exec 0<&-; sleep 0.5; echo end"], {
      stdin: true,
      attach: { stdin: true, stdout: true },
    });
    await attachment!.write(Buffer.alloc(3_000_000));
    let text = "";
    for await (const { bytes } of attachment!.output) text += Buffer.from(bytes).toString();
    assert.equal(text, "end\n");
    assert.equal((await task.wait()).code, 0);
  }),
);

test("stdin outlives a client that does not own it, and ends with one that does", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["cat"], { stdin: true });
    const first = await task.attach({ stdin: true });
    await first.write(Buffer.from("one "));
    await first[Symbol.asyncDispose]();
    const second = await task.attach({ stdin: true, ownsStdin: true, stdout: true });
    await second.write(Buffer.from("two\n"));
    await until("the line to be in the log", () => logged(dir) === "one two\n");
    assert.equal(task.state().kind, "running");
    await second[Symbol.asyncDispose]();
    assert.equal((await task.wait()).code, 0);
    assert.equal(logged(dir), "one two\n");
  }),
);

test("a process outside of the container that holds its output does not delay the end for ever", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["sh", "-c", "setsid sleep 1000 & echo $!; exit 2"], {
      hostPids: true,
    });
    const begun = Date.now();
    assert.equal((await task.wait()).code, 2);
    const ms = Date.now() - begun;
    assert.ok(ms < 30_000, `${ms} ms`);
    process.kill(Number(logged(dir)), "SIGKILL");
  }),
);

test("the end is told to every client that waits, and to those that come while it comes", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["sh", "-c", "sleep 0.2; exit 6"]);
    const waits = Array.from({ length: 40 }, async (_, index) => {
      await pause(index * 10);
      return (await openTask(dir).wait()).code;
    });
    assert.deepEqual(await Promise.all(waits), Array(40).fill(6));
    assert.equal((await task.wait()).code, 6);
  }),
);

test("waiting can be given up", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["sleep", "100"]);
    await assert.rejects(
      task.wait({ signal: AbortSignal.timeout(50) }),
      (error) => (error as Error).name === "TimeoutError",
    );
    await task.kill(9);
    await task.wait();
  }),
);

test(
  "the socket is there for its owner alone, also where its mode is opened up",
  {
    ...root,
    skip: needs("root", "setpriv"),
  },
  () =>
    withDir(async (dir) => {
      const { task } = await start(dir, ["sleep", "100"]);
      const path = join(dir, "shim.sock");
      await until("the socket", () => existsSync(path));
      assert.equal(statSync(path).mode & 0o777, 0o600);
      chmodSync(dir, 0o755);
      chmodSync(path, 0o666);
      // a signal 9 from a stranger: were it obeyed, the container would end
      const frame = encodeRequest({ kind: "signal", signal: 9 });
      const script = `const s = require("net").connect(${JSON.stringify(path)}, () => s.write(Buffer.from(${JSON.stringify([...frame])})));
      s.on("data", (d) => console.log("answer", d.readUInt32LE(8))).on("error", () => {}).on("close", () => console.log("closed"))`;
      const stranger = ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, "-e", script];
      const { stdout } = await command(["setpriv", ...stranger]);
      assert.match(stdout, /^(answer 1\n)?closed\n$/);
      await task.kill(0);
      await task.kill(9);
      await task.wait();
    }),
);

test("garbage from a client closes that client only", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, ["sleep", "100"]);
    await task.kill(0);
    const garbage = [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.alloc(64, 0xff),
      Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 4, 0, 0, 0]),
      Buffer.from([4, 0, 0, 0, 200, 0, 0, 0, 1, 2, 3, 4]),
      Buffer.from([8, 0, 0, 0, 7, 0, 0, 0, 1]),
    ];
    for (const bytes of garbage) {
      const socket = connect(join(dir, "shim.sock"));
      socket.on("error", () => {});
      socket.end(bytes);
      socket.resume();
      await new Promise((resolve) => socket.once("close", resolve));
    }
    await task.kill(9);
    assert.equal((await task.wait()).code, 137);
  }),
);

test("a path longer than a socket address holds is no hindrance", root, () =>
  withDir(async (top) => {
    const dir = join(top, "d".repeat(100), "e".repeat(100));
    const { task } = await start(dir, ["sleep", "100"]);
    await task.kill(9);
    assert.equal((await task.wait()).code, 137);
  }),
);

test("where the shim cannot listen or log, the start fails with the reason and is undone", root, () =>
  withDir(async (dir) => {
    await assert.rejects(start(dir, ["sleep", "98765"], { log: join(dir, "missing", "log") }), (error) => {
      assert.ok(isGantryError(error), String(error));
      assert.match(error.message, /open log .*missing\/log.*no such file/);
      return true;
    });
    assert.equal(readStartRecord(dir), undefined);
  }),
);

test("a start that fails leaves neither record nor socket", root, () =>
  withDir(async (dir) => {
    const onSync = () => {
      throw new Error("no");
    };
    await assert.rejects(start(dir, ["sleep", "98765"], { syncs: ["network"], onSync }), /no/);
    await until("the socket to go", () => !existsSync(join(dir, "shim.sock")));
    assert.equal(readStartRecord(dir), undefined);
  }),
);

test(
  "a container whose shim was killed is lost, is recovered, and leaves nothing",
  {
    ...root,
    skip: needs("root", `${pids}/cgroup.procs`),
  },
  () =>
    withDir(async (dir) => {
      const top = `/gantry-shim-test-${process.pid}-lost`;
      const cgroups = [{ mount: pids, path: `${top}/one` }];
      const { task } = await start(dir, ["sh", "-c", "setsid sleep 1000 & sleep 1000"], {
        hostPids: true,
        cgroups,
      });
      await until(
        "both to run",
        () => readFileSync(`${pids}${top}/one/cgroup.procs`, "utf8").split("\n").length > 3,
      );
      const members = readFileSync(`${pids}${top}/one/cgroup.procs`, "utf8").trim().split("\n").map(Number);
      const waiting = assert.rejects(task.wait(), (error) => isGantryError(error, "data-loss"));
      process.kill(shimPid(dir), "SIGKILL");
      await waiting;
      const state = task.state();
      assert.ok(state.kind === "lost" && state.initAlive);
      const cleanup = {
        host: [],
        child: [],
        cleanup: [{ op: "remove-cgroup", where: "", mount: pids, path: top } as const],
      };
      const exit = await recover(dir, { executor: findExecutor(), cleanup });
      assert.deepEqual([exit?.code, exit?.signal, exit?.error], [137, 9, "shim was killed"]);
      assert.deepEqual(await task.wait(), exit);
      for (const pid of members) assert.ok(isOver(pid), `${pid} lives`);
      assert.equal(existsSync(`${pids}${top}`), false);
      assert.equal(await recover(dir, { executor: findExecutor() }), undefined);
    }),
);
