import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test from "node:test";
import { childrenOf } from "../lib/children.ts";
import { until } from "../lib/until.ts";
import { cgroupVanishes, unready } from "./bundle.ts";
import { both, type Living, withLiving } from "./living.ts";

const MB = 1 << 20;
interface Event {
  readonly type: string;
  readonly id: string;
  readonly data?: Record<string, Record<string, Record<string, unknown>>>;
}

/** `events` in the background, its lines as they come, and its exit status. */
function follow({ runtime, id }: Living, ...flags: readonly string[]) {
  const [program, ...global] = runtime.argv;
  const child: ChildProcess = spawn(program, [...global, "events", ...flags, id], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const seen: Event[] = [];
  createInterface({ input: child.stdout! }).on("line", (line) => seen.push(JSON.parse(line) as Event));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { seen, ended, kill: () => child.kill("SIGKILL"), watcher: () => watcherBelow(child.pid!) };
}

/** The process below this one that holds the file by which the kernel tells of kills, once there is one. */
function watcherBelow(pid: number): number | undefined {
  for (const child of childrenOf(pid)) {
    const names = (() => {
      try {
        // the other half has an eventfd of Bun's
        if (readlinkSync(`/proc/${child}/exe`).endsWith("/gantry-program")) return [];
        return readdirSync(`/proc/${child}/fd`).map((fd) => readlinkSync(`/proc/${child}/fd/${fd}`));
      } catch {
        // it is just ending, or just beginning
        return [];
      }
    })();
    if (names.some((name) => name === "anon_inode:[eventfd]" || name.endsWith("/memory.events")))
      return child;
    const below = watcherBelow(child);
    if (below !== undefined) return below;
  }
  return undefined;
}

/** "data.cpu.usage.kernel number", for every member. */
function shape(value: unknown, path = "data"): readonly string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return [`${path} ${Array.isArray(value) ? "array" : typeof value}`];
  return Object.entries(value).flatMap(([name, member]) => shape(member, `${path}.${name}`));
}

const limits = { linux: { resources: { memory: { limit: 32 * MB }, pids: { limit: 20 } } } };
/** What a member has that says nothing is left out, so these may be on one side alone. */
const comesAndGoes =
  /\.(usage|max|cache|percpu|intel_rdt|network_interfaces|total|current)\b|hugetlb|blkio|psi|raw/;

test("statistics have every member that the reference's have, in the same kinds", {
  skip: unready,
}, async () => {
  const shapes: Record<string, readonly string[]> = {};
  for (const name of both)
    await withLiving(name, "exec sleep 100", limits, async ({ id, must }) => {
      const lines = (await must("events", "--stats", id)).trim().split("\n");
      assert.equal(lines.length, 1);
      const event = JSON.parse(lines[0]!) as Event;
      assert.deepEqual([event.type, event.id], ["stats", id]);
      const groups = "blkio,cpu,cpuset,hugetlb,intel_rdt,memory,network_interfaces,pids";
      assert.equal(Object.keys(event.data!).sort().join(), groups);
      assert.equal(event.data!.memory!.usage!.limit, 32 * MB);
      assert.deepEqual({ ...event.data!.pids }, { current: 1, limit: 20 });
      shapes[name] = shape(event.data);
    });
  const missing = shapes.runc!.filter(
    (one) => !shapes["gantry-oci"]!.includes(one) && !comesAndGoes.test(one),
  );
  assert.deepEqual(missing, []);
});

for (const name of both) {
  test(`${name}: statistics come at the interval, and end with the container`, { skip: unready }, () =>
    withLiving(name, "exec sleep 100", limits, async (living) => {
      const { seen, ended, kill } = follow(living, "--interval", "100ms");
      try {
        await until("three statistics", () => seen.length >= 3);
        assert.ok(seen.every(({ type, id }) => type === "stats" && id === living.id));
        await living.must("delete", "--force", living.id);
        assert.equal(await ended, 0);
      } finally {
        kill();
      }
    }),
  );

  test(`${name}: what is killed for want of memory is told as oom`, { skip: unready }, () =>
    withLiving(
      name,
      "until [ -e /go ]; do sleep 0.02; done; tail /dev/zero; exec sleep 100",
      { linux: { resources: { memory: { limit: 16 * MB, swap: 16 * MB } } } },
      async (living) => {
        const { seen, kill } = follow(living, "--interval", "200ms");
        try {
          await until("the first statistics", () => seen.length > 0);
          writeFileSync(join(living.bundle.rootfs, "go"), "");
          const { type, id, data } = await until("the event", () => seen.find((one) => one.type !== "stats"));
          assert.deepEqual([type, id, data], ["oom", living.id, undefined]);
        } finally {
          kill();
        }
      },
    ),
  );

  test(
    `${name}: events of what does not run are refused, and so is an interval of nothing`,
    { skip: unready },
    () =>
      withLiving(name, "exec sleep 100", {}, async ({ id, must, refused, status }) => {
        assert.match(await refused("events", "--interval", "0s", id), /interval must be greater than 0/);
        await must("kill", id, "KILL");
        await until("the container to stop", async () => (await status()) === "stopped");
        assert.equal(await refused("events", id), `container with id ${id} is not running`);
      }),
  );
}

test(
  "a container that is killed as a whole is told as oom before events end",
  { skip: unready || cgroupVanishes() },
  () =>
    withLiving(
      "gantry-oci",
      "until [ -e /go ]; do sleep 0.02; done; exec tail /dev/zero",
      { linux: { resources: { memory: { limit: 16 * MB, swap: 16 * MB } } } },
      async (living) => {
        const { seen, ended, kill } = follow(living, "--interval", "100ms");
        try {
          await until("the first statistics", () => seen.length > 0);
          writeFileSync(join(living.bundle.rootfs, "go"), "");
          assert.equal(await ended, 0);
          assert.equal(seen.filter(({ type }) => type === "oom").length, 1);
        } finally {
          kill();
        }
      },
    ),
);

/** Comes to its limit when it is told to, and is killed as a whole. */
const victim = "until [ -e /go ]; do sleep 0.02; done; exec tail /dev/zero";
const tight = { linux: { resources: { memory: { limit: 16 * MB, swap: 16 * MB } } } };

for (const { name, script, ends } of [
  { name: "goes on", script: `(${victim}); exec sleep 100`, ends: false },
  { name: "is removed at once", script: victim, ends: true },
])
  test(
    `a kill is told when it happens, not with the statistics, of a container that ${name}`,
    { skip: unready || (ends && cgroupVanishes()) },
    () =>
      withLiving("gantry-oci", script, tight, async (living) => {
        const { seen, ended, kill, watcher } = follow(living, "--interval", "1h");
        try {
          await until("the kernel to be asked", watcher);
          writeFileSync(join(living.bundle.rootfs, "go"), "");
          if (ends) {
            await until("the end", async () => (await living.status()) === "stopped");
            await living.must("delete", living.id);
            assert.equal(await ended, 0);
          }
          await until("the event", () => seen.length > 0);
          assert.deepEqual(seen, [{ type: "oom", id: living.id }]);
        } finally {
          kill();
        }
      }),
  );

test("a container that ends and is removed without a kill is told of as nothing", { skip: unready }, () =>
  withLiving("gantry-oci", "exec sleep 100", tight, async (living) => {
    const { seen, ended, kill, watcher } = follow(living, "--interval", "1h");
    try {
      await until("the kernel to be asked", watcher);
      await living.must("delete", "--force", living.id);
      assert.equal(await ended, 0);
      assert.deepEqual(seen, []);
    } finally {
      kill();
    }
  }),
);

test("whoever watches for events ends with the command, however that is killed", { skip: unready }, () =>
  withLiving("gantry-oci", "exec sleep 100", tight, async (living) => {
    const { kill, watcher } = follow(living, "--interval", "1h");
    try {
      const pid = await until("the kernel to be asked", watcher);
      kill();
      await until("its end", () => !existsSync(`/proc/${pid}`));
    } finally {
      kill();
    }
  }),
);
