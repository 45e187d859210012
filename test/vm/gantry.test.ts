/** Gantry on cgroup v2, as users have it: the reference machine of the other tests has v1. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test, { after, before } from "node:test";
import { skipped } from "../lib/needs.ts";
import { gantryProgram } from "../lib/sandbox.ts";
import { bootMachine, type Machine, machineMissing } from "./machine.ts";

const skip = machineMissing() || (existsSync(gantryProgram) ? false : skipped(`needs ${gantryProgram}`));
let vm: Machine;

before(async () => {
  if (skip) return;
  vm = await bootMachine();
  const { code, stderr } = await vm.run(`gantry import -c 'CMD ["sh"]' /opt/busybox.tar busybox`);
  assert.equal(code, 0, stderr);
});
after(async () => {
  await vm?.[Symbol.asyncDispose]();
});

/** Runs a script that has to succeed; hands back the lines it printed. */
async function lines(script: string): Promise<string[]> {
  const { code, stdout, stderr } = await vm.run(`set -e\n${script}`);
  assert.equal(code, 0, `${stderr}${stdout}`);
  return stdout.trimEnd().split("\n");
}

test("limits arrive in the files of the one v2 group", { skip }, async () => {
  const files = "memory.max memory.swap.max cpu.max pids.max cpu.weight";
  const read = `cd /sys/fs/cgroup; for f in ${files}; do echo $f $(cat $f); done; ls /sys/fs/cgroup | grep -c memory.max`;
  const flags = "-m 100m --memory-swap 150m --cpus 1.5 --pids-limit 77 --cpu-shares 2048";
  assert.deepEqual(await lines(`gantry run --rm ${flags} busybox sh -c '${read}'`), [
    "memory.max 104857600",
    "memory.swap.max 52428800",
    "cpu.max 150000 100000",
    "pids.max 77",
    "cpu.weight 174",
    "1",
  ]);
});

test("a container sees its own group as the root of the tree, and nothing of the host's", {
  skip,
}, async () => {
  const [own, mounts] = await lines(
    `gantry run --rm busybox sh -c 'cat /proc/self/cgroup; grep -c cgroup2 /proc/mounts'`,
  );
  assert.deepEqual([own, mounts], ["0::/", "1"]);
});

test("a process that takes more memory than its limit is killed, and inspect says why", {
  skip,
}, async () => {
  const eat = "x=a; while true; do x=$x$x; done";
  const out = await lines(`
    gantry run --name eater -m 20m --memory-swap 20m busybox sh -c '${eat}' || echo exit $?
    gantry inspect --format '{{.State.OOMKilled}} {{.State.ExitCode}}' eater
    gantry rm eater`);
  assert.deepEqual(out.slice(-3), ["exit 137", "true 137", "eater"]);
});

test("devices outside the default list are refused by the group's program", { skip }, async () => {
  const script = "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk";
  const { code, stderr } = await vm.run(`gantry run --rm busybox sh -c '${script}'`);
  assert.notEqual(code, 0);
  assert.match(stderr, /Operation not permitted/);
  const free = await lines(`gantry run --rm --privileged busybox sh -c '${script} | wc -c'`);
  assert.deepEqual(free, ["1"]);
});

test("detached, stopped and removed leaves no group and no mount", { skip }, async () => {
  const out = await lines(`
    before=$(wc -l < /proc/mounts)
    id=$(gantry run -d busybox sleep 1000)
    gantry ps --format '{{.Image}} {{.Command}}'
    ls -d /sys/fs/cgroup/gantry/$id > /dev/null
    gantry stop -t 0 $id > /dev/null
    gantry rm $id > /dev/null
    gantry ps -aq | wc -l
    find /sys/fs/cgroup/gantry -mindepth 1 -type d | wc -l
    echo $(( $(wc -l < /proc/mounts) - before ))`);
  assert.deepEqual(out, ['busybox "sleep 1000"', "0", "0", "0"]);
});

test("pause, update, stats and restart work on the one v2 group", { skip }, async () => {
  const out = await lines(`
    id=$(gantry run -d --name life -m 64m --pids-limit 50 busybox sleep 1000)
    group=/sys/fs/cgroup/gantry/$id
    gantry pause life > /dev/null
    cat $group/cgroup.freeze
    gantry inspect -f '{{.State.Status}}' life
    gantry update -m 100m --memory-swap 120m --cpus 0.5 --pids-limit -1 --cpu-shares 2048 life > /dev/null
    gantry unpause life > /dev/null
    cat $group/cgroup.freeze
    for f in memory.max memory.swap.max cpu.max pids.max cpu.weight; do cat $group/$f; done
    gantry stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsage}}' life | sed 's/[0-9.]*[KM]iB \\//used \\//'
    gantry restart -t 0 life > /dev/null
    cat $group/memory.max
    gantry pause life > /dev/null
    gantry kill life > /dev/null
    gantry wait life
    gantry rm life`);
  assert.deepEqual(out, [
    ...["1", "paused", "0", "104857600", "20971520", "50000 100000", "max", "174"],
    ...["life 1 used / 100MiB", "104857600", "137", "life"],
  ]);
});

test("files go in and out, and what was changed is told and committed", { skip }, async () => {
  const out = await lines(`
    gantry run -d --name files busybox sh -c 'echo 1 > /made; rm /etc/group; sleep 1000' > /dev/null
    until gantry diff files | grep -q /etc/group; do sleep 0.1; done
    gantry diff files
    echo 2 > /tmp/in; gantry cp -q /tmp/in files:/made; gantry cp -q files:/made /tmp/out; cat /tmp/out
    gantry commit files made > /dev/null
    gantry rm -f files
    gantry run --rm made sh -c 'cat /made; ls /etc/group 2>&1'|| true
    gantry rmi made > /dev/null`);
  assert.deepEqual(out, [
    ...["C /etc", "D /etc/group", "A /made", "2", "files", "2", "ls: /etc/group: No such file or directory"],
  ]);
});
