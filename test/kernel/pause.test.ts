import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { hasEnded, parseProcStat } from "../../src/linux/proc-stat.ts";
import { until } from "../lib/until.ts";
import { unready } from "./bundle.ts";
import { both, withLiving } from "./living.ts";
import { cgroupOf } from "./own-cgroups.ts";

/** Grows a file as long as it runs. */
const busy = "while :; do echo >> /beat; sleep 0.02; done";

/** Ended, be it that nobody has reaped it yet. */
function hasGone(pid: number): boolean {
  try {
    return hasEnded(parseProcStat(readFileSync(`/proc/${pid}/stat`, "utf8")));
  } catch {
    return true;
  }
}

for (const name of both) {
  test(`${name}: a paused container stands still, and goes on where it was`, { skip: unready }, () =>
    withLiving(name, busy, {}, async ({ bundle, id, must, refused, status }) => {
      const beats = () => {
        const file = join(bundle.rootfs, "beat");
        return existsSync(file) ? statSync(file).size : 0;
      };
      await until("the program to run", () => beats() > 0);
      assert.equal(await refused("resume", id), "container not paused");
      await must("pause", id);
      assert.equal(await status(), "paused");
      const frozenAt = beats();
      assert.equal(await refused("pause", id), "container not running");
      assert.equal(beats(), frozenAt, "something ran while it was paused");
      await must("resume", id);
      assert.equal(await status(), "running");
      await until("the program to go on", () => beats() > frozenAt);
    }),
  );

  test(`${name}: a container that was only created can be paused, and started after`, { skip: unready }, () =>
    withLiving(
      name,
      "echo ran > /out; exec sleep 100",
      {},
      async ({ bundle, id, must, refused, status }) => {
        await must("pause", id);
        assert.equal(await status(), "paused");
        assert.match(await refused("start", id), /cannot start a container in the paused state/);
        await must("resume", id);
        assert.equal(await status(), "created");
        await must("start", id);
        await until("the program to run", () => existsSync(join(bundle.rootfs, "out")));
      },
      "create",
    ),
  );

  test(
    `${name}: SIGKILL ends what is paused, and delete asks for --force before it does`,
    { skip: unready },
    () =>
      withLiving(name, "exec sleep 100", {}, async ({ id, must, refused, status }) => {
        await must("pause", id);
        assert.match(await refused("delete", id), /is not stopped: paused/);
        assert.equal(await status(), "paused");
        await must("kill", id, "KILL");
        await until("the container to stop", async () => (await status()) === "stopped");
        for (const verb of ["pause", "resume"])
          assert.match(await refused(verb, id), /container not (running|paused)/);
        await must("delete", id);
      }),
  );

  test(`${name}: delete --force ends a paused container at once`, { skip: unready }, () =>
    withLiving(name, "exec sleep 100", {}, async ({ runtime, id, pid, must }) => {
      await must("pause", id);
      await must("delete", "--force", id);
      assert.ok(hasGone(pid));
      assert.match((await runtime.call(["state", id])).stderr, /container does not exist/);
    }),
  );

  test(`${name}: kill --all reaches every process, also in cgroups below`, { skip: unready }, () =>
    withLiving(
      name,
      "trap 'echo got >> /got' USR1; sh -c \"trap 'echo got >> /got' USR1; echo > /up; while :; do sleep 0.05; done\" & while :; do sleep 0.05; done",
      {},
      async ({ bundle, id, pid, must }) => {
        await until("the second shell", () => existsSync(join(bundle.rootfs, "up")));
        const devices = cgroupOf(pid, "devices");
        const inner = join(devices, "inner");
        const second = (JSON.parse(await must("ps", "--format", "json", id)) as number[])
          .filter((other) => other !== pid)
          .find((other) => readFileSync(`/proc/${other}/cmdline`, "utf8").startsWith("sh"));
        mkdirSync(inner);
        writeFileSync(join(inner, "cgroup.procs"), String(second));
        await must("kill", "--all", id, "USR1");
        await until("both to have the signal", () => {
          const file = join(bundle.rootfs, "got");
          return existsSync(file) && readFileSync(file, "utf8") === "got\ngot\n";
        });
        await must("kill", "--all", id, "KILL");
        await until("all to end", () => hasGone(second!));
        await until("the inner group to be empty", () => {
          try {
            rmdirSync(inner);
            return true;
          } catch {
            return !existsSync(inner);
          }
        });
      },
    ),
  );
}

// runc gives up on it where the machine is busy
test("a container that forks all the time is frozen whole", { skip: unready }, () =>
  withLiving(
    "gantry-oci",
    "for i in 1 2 3 4; do while :; do /bin/true; done & done; wait",
    { linux: { resources: { pids: { limit: 64 } } } },
    async ({ id, must, status }) => {
      for (let round = 0; round < 3; round++) {
        await must("pause", id);
        assert.equal(await status(), "paused");
        await must("resume", id);
      }
    },
  ),
);
