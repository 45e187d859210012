import assert from "node:assert/strict";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { unready } from "./bundle.ts";
import { both, withLiving } from "./living.ts";
import { cgroupOf } from "./own-cgroups.ts";

const skip = unready || needs("ps");

for (const name of both) {
  test(`${name}: ps tells of every process by the host's pids, also in cgroups below`, { skip }, () =>
    withLiving(name, "sleep 101 & exec sleep 102", {}, async ({ id, pid, must }) => {
      const pids = async () => JSON.parse(await must("ps", "--format", "json", id)) as number[];
      const all = await until("both processes", async () => {
        const found = await pids();
        return found.length === 2 && found;
      });
      const other = all.find((one) => one !== pid)!;
      assert.ok(all.includes(pid));
      const inner = join(cgroupOf(pid, "devices"), "inner");
      mkdirSync(inner);
      try {
        writeFileSync(join(inner, "cgroup.procs"), String(other));
        assert.deepEqual([...(await pids())].sort(), [...all].sort());
      } finally {
        writeFileSync(join(inner, "../cgroup.procs"), String(other));
        rmdirSync(inner);
      }
    }),
  );

  test(`${name}: the table is that of ps with its options, the container's lines alone`, { skip }, () =>
    withLiving(name, "exec sleep 103", {}, async ({ id, pid, must, refused }) => {
      const [head, line, ...rest] = (await must("ps", id)).trim().split("\n");
      assert.match(head!, /^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/);
      assert.match(line!, new RegExp(`^root +${pid} .* sleep 103$`));
      assert.deepEqual(rest, []);
      const columns = (await must("ps", id, "-e", "-o", "user,pid,args")).trim().split("\n");
      assert.deepEqual(
        columns.map((one) => one.trim().split(/ +/)),
        [
          ["USER", "PID", "COMMAND"],
          ["root", String(pid), "sleep", "103"],
        ],
      );
      assert.match(await refused("ps", id, "-e", "-o", "comm"), /couldn't find PID field in ps output/);
      assert.match(await refused("ps", id, "--no-such"), /exit status 1/);
      assert.equal(await refused("ps", "--format", "yaml", id), "invalid format option");
    }),
  );
}

test("ps of a container that does not exist says so", { skip }, () =>
  withLiving("gantry-oci", "exec sleep 100", {}, async ({ refused }) => {
    assert.match(await refused("ps", "no-such"), /container does not exist/);
  }),
);
