/** Shims, clients and executors that are killed. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../lib/until.ts";
import { isOver } from "../../shim/reading.ts";
import { type Case, remembered } from "./trial.ts";

/** None of a process that has ended. */
function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return text.split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export const killings: readonly Case[] = [
  {
    title: "a shim that is killed takes its container with it, and nothing stays",
    async run({ box, options }) {
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
    },
  },
  {
    title: "clients and executors killed in the middle of a start leave nothing",
    async run({ box, options }) {
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
    },
  },
];
