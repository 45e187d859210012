/** Shims, clients and executors that are killed. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childrenOf } from "../../lib/children.ts";
import { programPath } from "../../lib/needs.ts";
import type { Sandbox } from "../../lib/sandbox.ts";
import { until } from "../../lib/until.ts";
import { isOver } from "../../shim/reading.ts";
import { type Case, remembered } from "./trial.ts";

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await run();
  return performance.now() - begun;
}

/** A command that is killed after a while, with the executor that it has started. */
async function killedAfter(box: Sandbox, args: readonly string[], afterMs: number): Promise<void> {
  const client = box.spawn(args);
  const over = new Promise((resolve) => client.once("exit", resolve));
  const end = performance.now() + afterMs;
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
  for (const child of childrenOf(client.pid!)) process.kill(child, "SIGKILL");
  client.kill("SIGKILL");
  await over;
}

export const killings: readonly Case[] = [
  {
    title: "a shim that is killed takes its container with it, paused or not, and nothing stays",
    async run({ box, options }) {
      for (const paused of [false, true]) {
        const id = await box.must(["run", "-d", "--name", "one", ...options, "busybox", "sleep", "600"]);
        const start = JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8")) as {
          pid: number;
          shim: number;
        };
        // VmRSS of /proc/PID/status may be many pages off before Linux 6.2
        const pages = readFileSync(`/proc/${start.shim}/smaps_rollup`, "utf8");
        const residentKib = Number(/^Rss:\s+(\d+)/m.exec(pages)?.[1]);
        assert.ok(residentKib < 1024, `the shim has ${residentKib} KiB`);
        assert.equal(
          readlinkSync(`/proc/${start.shim}/ns/mnt`),
          readlinkSync("/proc/self/ns/mnt"),
          "it keeps no mount of the host in use",
        );
        if (paused) await box.must(["pause", "one"]);
        process.kill(start.shim, "SIGKILL");
        await until("its end to be seen", async () => (await box.must(["ps", "-q"])) === "");
        assert.equal(
          await box.must(["inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "one"]),
          "137 shim was killed",
        );
        assert.ok(isOver(start.pid));
        assert.deepEqual(remembered(box), []);
        await box.must(["rm", "one"]);
      }
    },
  },
  {
    title:
      "clients and executors killed in the middle of a start leave nothing, with pipes and with a terminal",
    async run({ box, options }) {
      for (const streams of [[], ["-t"]]) {
        const run = ["run", "-d", "--name", "one", ...streams, ...options, "busybox", "sleep", "600"];
        for (const point of ["start-recorded", "started"]) {
          const dead = await box.gantry(run, { env: { GANTRY_FAULT: point } });
          assert.equal(dead.code, 137);
          await box.must(["rm", "-f", "one"]);
          assert.deepEqual(remembered(box), []);
        }
        const wholeMs = await timed(() => box.must(run));
        await box.must(["rm", "-f", "one"]);
        for (let round = 0; round < 6; round++) {
          await killedAfter(box, run, ((round + 2) / 8) * wholeMs);
          await until("it can be removed", async () => {
            const removed = await box.gantry(["rm", "-f", "one"]);
            return removed.code === 0 || /No such container/.test(removed.stderr);
          });
          await until("nothing to be left", async () => {
            await box.gantry(["doctor", "--fix"]);
            return remembered(box).length === 0 && readdirSync(join(box.root, "containers")).length === 0;
          });
        }
      }
    },
  },
  {
    title:
      "clients and executors killed in the middle of an exec leave the container as it was, and it can go",
    async run({ box, options }) {
      const id = await box.must(["run", "-d", "--name", "one", ...options, "busybox", "sleep", "600"]);
      for (const streams of [[], ["-t"], ["-d"]]) {
        const exec = ["exec", ...streams, "one", "sh", "-c", "exit 3"];
        const wholeMs = await timed(() => box.gantry(exec));
        for (let round = 0; round < 5; round++)
          await killedAfter(box, ["exec", ...streams, "one", "sleep", "601"], ((round + 1) / 5) * wholeMs);
        assert.equal((await box.gantry(exec)).code, streams.includes("-d") ? 0 : 3);
      }
      assert.equal(await box.must(["inspect", "-f", "{{.State.Status}}", "one"]), "running");
      const pids = (await box.must(["top", "one", "-o", "pid"])).split("\n").slice(1).map(Number);
      await box.must(["rm", "-f", "one"]);
      for (const pid of pids) assert.ok(isOver(pid), `process ${pid}`);
      assert.equal(existsSync(join(box.state, "containers", id)), false);
    },
  },
  {
    title: "a client and an executor killed before an exec is written down leave no process of it",
    async run({ box, runtime }) {
      if (runtime === "gantry") return;
      const [program, slow] = [join(box.dir, "runtime-of-test"), join(box.dir, "slow")];
      const mounted = join(box.dir, "mounted");
      const path = runtime.includes("/") ? runtime : programPath(runtime)!;
      // what it was asked for is done; who asked does not get to know
      const mount = `mount --bind ${box.dir} ${box.dir} && touch ${mounted}`;
      const wait = `[ "$code" = 0 ] && [ -e ${slow} ] && ${mount} && while [ -e ${slow} ]; do sleep 0.05; done`;
      writeFileSync(program, `#!/bin/sh\n${path} "$@"; code=$?\n${wait}\nexit $code\n`, { mode: 0o755 });
      const id = await box.must([
        "run",
        "-d",
        "--name",
        "one",
        "--runtime",
        program,
        "busybox",
        "sleep",
        "600",
      ]);
      writeFileSync(slow, "");
      const execs = join(box.state, "containers", id, "execs");
      for (const streams of [[], ["-t"], ["-d"]]) {
        const client = box.spawn(["exec", ...streams, "one", "sleep", "605"]);
        const over = new Promise((resolve) => client.once("exit", resolve));
        const written = () =>
          (existsSync(execs) ? readdirSync(execs) : [])
            .map((exec) => join(execs, exec, "runtime.pid"))
            .find((file) => existsSync(file) && readFileSync(file, "utf8") !== "");
        const file = await until("the process to be written down by the runtime", written);
        const pid = Number(readFileSync(file, "utf8"));
        // gantry-oci writes it down a moment before it becomes the program
        await until(
          "the process to run",
          () => readFileSync(`/proc/${pid}/cmdline`, "utf8") === "sleep\x00605\0",
        );
        assert.equal(existsSync(join(file, "../start.json")), false);
        await until("the runtime to have mounted something", () => existsSync(mounted));
        assert.ok(!readFileSync("/proc/self/mountinfo", "utf8").includes(` ${box.dir} `), "on the host");
        for (const child of childrenOf(client.pid!)) process.kill(child, "SIGKILL");
        client.kill("SIGKILL");
        await over;
        await until("its process to end", () => isOver(pid));
        rmSync(join(file, ".."), { recursive: true });
        rmSync(mounted);
      }
      rmSync(slow);
      assert.equal((await box.gantry(["exec", "one", "sh", "-c", "exit 3"])).code, 3);
      assert.equal(await box.must(["inspect", "-f", "{{.State.Status}}", "one"]), "running");
      await box.must(["rm", "-f", "one"]);
    },
  },
  {
    title: "a runtime that is gone from the machine keeps no container from its end",
    async run({ box, runtime }) {
      if (runtime === "gantry") return;
      const program = join(box.dir, "runtime-of-test");
      const path = runtime.includes("/") ? runtime : programPath(runtime)!;
      writeFileSync(program, `#!/bin/sh\nexec ${path} "$@"\n`, { mode: 0o755 });
      const run = (name: string) =>
        box.must(["run", "-d", "--name", name, "--runtime", program, "busybox", "sleep", "600"]);
      const [one] = [await run("one"), await run("two"), await run("three")];
      rmSync(program);
      const start = JSON.parse(readFileSync(join(box.state, "containers", one!, "start.json"), "utf8")) as {
        readonly pid: number;
        readonly shim: number;
      };
      process.kill(start.shim, "SIGKILL");
      await until("its shim to end", () => isOver(start.shim));
      const { stderr } = await box.gantry(["inspect", "-f", "{{.State.Status}}", "one"]);
      assert.match(
        stderr,
        /a runtime cannot delete a container, which is ended without it .*runtime-of-test/,
      );
      assert.ok(isOver(start.pid));
      assert.equal(remembered(box).length, 2);
      await box.must(["kill", "two"]);
      await box.must(["wait", "two"]);
      const found = (await box.gantry(["doctor"])).stdout;
      assert.match(found, /state of runtime-of-test for container [0-9a-f]{12}/);
      await box.gantry(["doctor", "--fix"]);
      assert.equal(remembered(box).length, 1);
      const refused = await box.gantry(["start", "two"]);
      assert.match(refused.stderr, /OCI runtime create failed: .*runtime-of-test/);
      await box.must(["rm", "-f", "one", "two", "three"]);
    },
  },
];
