/** The shim killed under the command line: who waits is told, nothing stays, whenever it happens. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { readStartRecord } from "../../src/tasks/records.ts";
import { withBusybox } from "../cli/busybox.ts";
import { childrenOf } from "../lib/children.ts";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const options = { skip: needs("root"), timeout: 120_000 };

/** The shim of the only container that runs. */
async function onlyShim(box: Sandbox): Promise<number> {
  const states = join(box.state, "containers");
  return await until("a container to run", () => {
    try {
      const [id] = readdirSync(states);
      return id ? readStartRecord(join(states, id))?.shim.pid : undefined;
    } catch {
      return undefined;
    }
  });
}

test("a foreground run whose shim is killed ends with 137 and leaves nothing", options, () =>
  withBusybox(async (box) => {
    const run = box.spawn(["run", "--rm", "busybox", "sh", "-c", "echo up; sleep 1000"]);
    const outcome = ended(run);
    await new Promise((resolve) => run.stdout!.once("data", resolve));
    process.kill(await onlyShim(box), "SIGKILL");
    assert.equal(await outcome, 137);
    assert.equal(await box.must(["ps", "-aq"]), "");
  }),
);

test("everybody who waits for a container whose shim is killed is told 137", options, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "web", "busybox", "sleep", "1000"]);
    const waits = Array.from({ length: 4 }, () => box.must(["wait", "web"]));
    process.kill(await onlyShim(box), "SIGKILL");
    assert.deepEqual(await Promise.all(waits), Array(4).fill("137"));
    assert.equal(await box.must(["inspect", "-f", "{{.State.Error}}", "web"]), "shim was killed");
    await box.must(["start", "web"]);
    assert.equal(await box.must(["ps", "-q"]).then((text) => text.length), 12);
    await box.must(["rm", "-f", "web"]);
  }),
);

test(
  "an executor killed at any moment of a run leaves a container that can be removed, or nothing",
  options,
  () =>
    withBusybox(async (box) => {
      await box.must(["run", "--rm", "busybox", "true"]);
      for (let round = 0; round < 25; round++) {
        const run = box.spawn(["run", "-d", "--name", "web", "busybox", "sleep", "1000"]);
        const outcome = ended(run);
        await until(
          "an executor, or the end",
          () => childrenOf(run.pid!).length > 0 || run.exitCode !== null,
        );
        const due = performance.now() + (round % 13);
        while (performance.now() < due) await new Promise((resolve) => setImmediate(resolve));
        for (const pid of childrenOf(run.pid!)) process.kill(pid, "SIGKILL");
        const code = await outcome;
        assert.ok(code === 0 || code === 125, `exit status ${code}`);
        const listed = await box.must(["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
        assert.match(listed, /^(|web (created|exited|running))$/);
        if (listed !== "") await box.must(["rm", "-f", "web"]);
        assert.equal(await box.must(["ps", "-aq"]), "");
      }
    }),
);

test("client and executor killed together leave a container that can be removed, or nothing", options, () =>
  withBusybox(async (box) => {
    for (let round = 0; round < 15; round++) {
      const run = box.spawn(["run", "-d", "--name", "web", "busybox", "sleep", "1000"]);
      const outcome = ended(run);
      await until("an executor, or the end", () => childrenOf(run.pid!).length > 0 || run.exitCode !== null);
      const due = performance.now() + (round % 8);
      while (performance.now() < due) await new Promise((resolve) => setImmediate(resolve));
      const executors = childrenOf(run.pid!);
      run.kill("SIGKILL");
      for (const pid of executors) process.kill(pid, "SIGKILL");
      await outcome;
      const listed = await box.must(["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
      assert.match(listed, /^(|web (created|exited|running))$/);
      if (listed !== "") await box.must(["rm", "-f", "web"]);
      assert.equal(await box.must(["ps", "-aq"]), "");
    }
  }),
);
