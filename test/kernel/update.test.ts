import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { until } from "../lib/until.ts";
import { unready } from "./bundle.ts";
import { limitsOf, sharesAs } from "./limits.ts";
import { both, withLiving } from "./living.ts";
import { cgroupValue, hasV1 } from "./own-cgroups.ts";

const skip = unready;
const v1 = hasV1("memory");
const MB = 1 << 20;
const idle = "exec sleep 100";

for (const name of both) {
  test(`${name}: limits given as flags stand in the cgroups`, { skip }, () =>
    withLiving(name, idle, {}, async ({ id, pid, must }) => {
      await must("update", "--memory", "64M", "--memory-reservation", "32M", "--pids-limit", "20", id);
      await must("update", "--cpu-period", "20000", "--cpu-quota", "10000", "--cpu-share", "512", id);
      await must("update", "--cpuset-cpus", "0", "--cpuset-mems", "0", id);
      const { memoryAndSwap: _, ...limits } = limitsOf(pid);
      assert.deepEqual(limits, {
        ...{ memory: 64 * MB, reservation: 32 * MB, pids: "20", cpus: "0" },
        ...{ quota: 10_000, period: 20_000, shares: sharesAs(name, 512) },
      });
      await must("update", "--memory", "-1", "--cpu-quota", "-1", "--pids-limit", "-1", id);
      const { memory, quota, pids } = limitsOf(pid);
      assert.deepEqual([memory, quota, pids], [-1, -1, "max"]);
    }),
  );

  test(`${name}: a file or stdin names what changes, and the rest stays`, { skip }, () =>
    withLiving(
      name,
      idle,
      { linux: { resources: { memory: { limit: 64 * MB }, cpu: { shares: 300 }, pids: { limit: 20 } } } },
      async ({ runtime, bundle, id, pid, must }) => {
        const file = join(bundle.files, "resources.json");
        writeFileSync(file, JSON.stringify({ memory: { limit: 80 * MB }, pids: { limit: 20 } }));
        await must("update", "--resources", file, id);
        assert.equal(limitsOf(pid).memory, 80 * MB);
        const stdin = JSON.stringify({ cpu: { shares: 700 }, pids: { limit: 21 } });
        const { code, stderr } = await runtime.call(["update", "-r", "-", id], { stdin });
        assert.equal(code, 0, stderr);
        const { memory, shares, pids } = limitsOf(pid);
        assert.deepEqual([memory, shares, pids], [80 * MB, sharesAs(name, 700), "21"]);
      },
    ),
  );

  test(
    `${name}: memory and swap grow and shrink together, in the order that the kernel takes`,
    { skip },
    () =>
      withLiving(
        name,
        idle,
        { linux: { resources: { memory: { limit: 64 * MB, swap: 64 * MB } } } },
        async ({ id, pid, must }) => {
          for (const [limit, swap] of [
            [256, 512],
            [32, 48],
            [48, 48],
            [300, 300],
            [20, -1],
            [20, 20],
          ] as const) {
            await must("update", "--memory", `${limit}M`, "--memory-swap", swap < 0 ? "-1" : `${swap}M`, id);
            const { memory, memoryAndSwap } = limitsOf(pid);
            assert.deepEqual([memory, memoryAndSwap], [limit * MB, swap < 0 ? -1 : swap * MB]);
          }
        },
      ),
  );

  test(`${name}: quota and period change together, whichever way`, { skip }, () =>
    withLiving(
      name,
      idle,
      { linux: { resources: { cpu: { quota: 50_000, period: 100_000 } } } },
      async ({ id, pid, must }) => {
        for (const [quota, period] of [
          [5000, 10_000],
          [900_000, 1_000_000],
          [1000, 1000],
        ] as const) {
          await must("update", "--cpu-quota", String(quota), "--cpu-period", String(period), id);
          const found = limitsOf(pid);
          assert.deepEqual([found.quota, found.period], [quota, period]);
        }
      },
    ),
  );

  test(`${name}: what cannot be is refused in the same words`, { skip }, () =>
    withLiving(name, idle, {}, async ({ id, must, refused, status }) => {
      // on v2 the kernel takes what is too little and kills
      if (v1)
        assert.match(
          await refused("update", "--memory", "4096", id),
          /unable to set memory limit to 4096 \(current usage: \d+, peak usage: \d+\)/,
        );
      assert.match(
        await refused("update", "--memory", "abc", id),
        /invalid value for memory: invalid size: 'abc'/,
      );
      assert.match(
        await refused("update", "--cpu-share", "abc", id),
        /invalid value for cpu-share: strconv.ParseUint: parsing "abc": invalid syntax/,
      );
      assert.match(
        await refused("update", "--l3-cache-schema", "L3:0=f", id),
        /l3 cache schema is not enabled/,
      );
      assert.match(
        await refused("update", "--resources", "/no/such", id),
        /\/no\/such.*no such file or directory/,
      );
      await must("kill", id, "KILL");
      await until("the container to stop", async () => (await status()) === "stopped");
      assert.match(await refused("update", "--memory", "64M", id), /container not running/);
    }),
  );
}

test(
  "a write that fails is told with file, value and place, and what was written before is undone",
  { skip },
  () =>
    withLiving(
      "gantry-oci",
      idle,
      {
        linux: {
          resources: { memory: { limit: 64 * MB }, cpu: { shares: 300, quota: 20_000 }, pids: { limit: 20 } },
        },
      },
      async ({ runtime, id, pid, refused }) => {
        const before = limitsOf(pid);
        // the period, which is too short, comes after memory and shares
        const message = await refused(
          ...[
            "update",
            "--memory",
            "128M",
            "--cpu-share",
            "700",
            "--cpu-period",
            "5",
            "--pids-limit",
            "99",
            id,
          ],
        );
        assert.equal(
          message,
          v1
            ? "failed to set /linux/resources/cpu/period: cpu.cfs_period_us = 5: invalid argument"
            : "failed to set /linux/resources/cpu/quota: cpu.max = 20000 5: invalid argument",
        );
        assert.deepEqual(limitsOf(pid), before);
        assert.ok(!existsSync(join(runtime.root, id, "resources.json")), "a failed update is remembered");
      },
    ),
);

test("later updates know of earlier ones, and of the config", { skip }, () =>
  withLiving(
    "gantry-oci",
    idle,
    { linux: { resources: { memory: { limit: 64 * MB, swap: 128 * MB }, cpu: { shares: 300 } } } },
    async ({ runtime, id, pid, must }) => {
      await must("update", "--memory", "100M", id);
      await must("update", "--cpu-idle", "1", id);
      // an idle group takes no shares: they are kept for when it wakes
      await must("update", "--cpu-share", "900", id);
      assert.notEqual(limitsOf(pid).shares, sharesAs("gantry-oci", 900));
      await must("update", "--cpu-idle", "0", id);
      assert.equal(cgroupValue(pid, "cpu", "cpu.idle"), "0");
      assert.equal(limitsOf(pid).shares, sharesAs("gantry-oci", 900));
      const stored = JSON.parse(readFileSync(join(runtime.root, id, "resources.json"), "utf8"));
      assert.deepEqual(stored.memory, { limit: 100 * MB, swap: 128 * MB });
      assert.deepEqual(stored.cpu, { shares: 900, idle: 0 });
    },
  ),
);

test("device rules are replaced without a moment at which a device that stays is refused", { skip }, () =>
  withLiving(
    "gantry-oci",
    "while :; do true < /dev/null || echo null >> /refused; if true < /dev/fuse; then echo >> /fuse; fi; echo >> /beat; done 2>/dev/null",
    {
      linux: {
        devices: [{ path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666 }],
        resources: { devices: [{ allow: false, access: "rwm" }] },
      },
    },
    async ({ runtime, bundle, id, pid }) => {
      const size = (name: string) => {
        const file = join(bundle.rootfs, name);
        return existsSync(file) ? readFileSync(file).length : 0;
      };
      const set = async (...devices: readonly object[]) => {
        const stdin = JSON.stringify({ devices });
        const { code, stderr } = await runtime.call(["update", "-r", "-", id], { stdin });
        assert.equal(code, 0, stderr);
      };
      const fuse = { allow: true, type: "c", major: 10, minor: 229, access: "r" };
      await until("the program to run", () => size("beat") > 0);
      assert.equal(size("fuse"), 0);
      await set({ allow: false }, fuse);
      await until("the device to be let through", () => size("fuse") > 0);
      if (v1) assert.match(cgroupValue(pid, "devices", "devices.list"), /^c 10:229 r$/m);
      await set({ allow: true });
      if (v1) assert.equal(cgroupValue(pid, "devices", "devices.list"), "a *:* rwm");
      await set({ allow: false });
      const [after, beats] = [size("fuse"), size("beat")];
      await until("some more rounds", () => size("beat") > beats + 20);
      // one round may have been between the open and the line
      assert.ok(size("fuse") <= after + 1, "the device is still let through");
      for (let round = 0; round < 10; round++) await set({ allow: false }, ...(round % 2 ? [] : [fuse]));
      assert.equal(size("refused"), 0, "/dev/null was refused");
    },
  ),
);

test("an update of a paused container leaves it paused", { skip }, () =>
  withLiving("gantry-oci", idle, {}, async ({ runtime, id, pid, must, status }) => {
    await must("pause", id);
    const stdin = JSON.stringify({ devices: [{ allow: true }], pids: { limit: 30 } });
    const { code, stderr } = await runtime.call(["update", "-r", "-", id], { stdin });
    assert.equal(code, 0, stderr);
    assert.equal(await status(), "paused");
    assert.equal(limitsOf(pid).pids, "30");
  }),
);

test("two updates at the same time are both remembered", { skip }, () =>
  withLiving("gantry-oci", idle, {}, async ({ runtime, id, must }) => {
    await Promise.all([
      must("update", "--pids-limit", "40", id),
      must("update", "--memory", "64M", id),
      must("update", "--cpu-share", "400", id),
    ]);
    const stored = JSON.parse(readFileSync(join(runtime.root, id, "resources.json"), "utf8"));
    assert.deepEqual(
      [stored.pids, stored.memory, stored.cpu],
      [{ limit: 40 }, { limit: 64 * MB }, { shares: 400 }],
    );
  }),
);
