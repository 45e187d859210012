import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { until } from "../lib/until.ts";
import { bootMachine, type Machine, machineMissing } from "./machine.ts";

const skip = machineMissing();
let vm: Machine;

before(async () => {
  if (!skip) vm = await bootMachine();
});
after(async () => {
  await vm?.[Symbol.asyncDispose]();
});

test("the machine has one v2 tree with every controller handed on", { skip }, async () => {
  const { stdout } = await vm.run("cat /sys/fs/cgroup/cgroup.subtree_control; grep -c cgroup /proc/mounts");
  const [controllers = "", mounts] = stdout.trim().split("\n");
  for (const name of ["cpuset", "cpu", "io", "memory", "pids"])
    assert.ok(controllers.split(" ").includes(name), name);
  assert.equal(mounts, "1");
});

test("a script's exit status and output come back as they are", { skip }, async () => {
  const { code, stdout, stderr } = await vm.run("printf 'a b\\n\\0é'; echo problem >&2; exit 37");
  assert.deepEqual([code, stdout, stderr], [37, "a b\n\0é", "problem\n"]);
  const long = await vm.run("seq 1 20000");
  assert.equal(long.stdout.split("\n").length, 20001);
});

test("the root can be pivoted away from, and overlay works", { skip }, async () => {
  const script = `
    set -e
    mkdir -p /tmp/o/l /tmp/o/u /tmp/o/w /tmp/o/m
    cp -a /bin /tmp/o/l/
    unshare -m sh -ec '
      mount -t overlay overlay -o lowerdir=/tmp/o/l,upperdir=/tmp/o/u,workdir=/tmp/o/w /tmp/o/m
      cd /tmp/o/m && mkdir old && pivot_root . old && umount -l /old && ls /'`;
  const { code, stdout, stderr } = await vm.run(script);
  assert.deepEqual([code, stdout.trim().split("\n"), stderr], [0, ["bin", "old"], ""]);
});

test("a processor that is said to be stuck is freed of stale code, and the machine goes on", {
  skip,
}, async () => {
  const before = vm.staleCode();
  await vm.run("echo '<0>watchdog: BUG: soft lockup - CPU#0 stuck for 0s! [nobody]' > /dev/kmsg");
  await until("the translations to be dropped", () => vm.staleCode() > before);
  assert.equal((await vm.run("echo on")).stdout, "on\n");
});
