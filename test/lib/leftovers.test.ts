import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { must } from "./command.ts";
import { leftovers, snapshot, sweep } from "./leftovers.ts";
import { needs } from "./needs.ts";
import { until } from "./until.ts";

const groups =
  ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].find((dir) => existsSync(join(dir, "cgroup.procs"))) ?? "/";

test("a clean test leaves nothing, at once", async () => {
  const started = performance.now();
  assert.deepEqual(await leftovers(snapshot("/tmp/gantry-test-nothing")), []);
  assert.ok(performance.now() - started < 2000);
});

test("a mount, a process and a control group are found and swept away", { skip: needs("root") }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-left-"));
  const group = join(groups, "gantry", `left-${process.pid}`);
  try {
    const before = snapshot(dir);
    await must(["mount", "-t", "tmpfs", "tmpfs", dir]);
    mkdirSync(group, { recursive: true });
    const child = spawn("sleep", ["60"], { env: { ...process.env, HERE: dir }, stdio: "ignore" });
    const found = await until("all three are seen", async () => {
      const list = (await leftovers(before, 0)).filter(({ name }) =>
        [dir, group, String(child.pid)].includes(name),
      );
      return list.length === 3 && list;
    });
    assert.deepEqual(found.map(({ kind }) => kind).sort(), ["cgroup", "mount", "process"]);
    await sweep(found);
    const still = (await leftovers(before)).filter(({ name }) =>
      [dir, group, String(child.pid)].includes(name),
    );
    assert.deepEqual(still, []);
  } finally {
    if (existsSync(group)) rmdirSync(group);
    rmSync(dir, { recursive: true, force: true });
  }
});
