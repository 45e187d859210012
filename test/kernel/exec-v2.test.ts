/** exec on pure cgroup v2, in a virtual machine: born in the cgroup of process 1, wherever that is. */
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { bootMachine, type Machine, machineMissing } from "../vm/machine.ts";

const skip = machineMissing() || needs("root", gantryOciProgram);
const timeout = 180_000;
let vm: Machine;

const config = {
  ociVersion: "1.3.0",
  root: { path: "rootfs" },
  process: { cwd: "/", args: ["sleep", "1000"], env: ["PATH=/bin"] },
  mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
  linux: {
    namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
    cgroupsPath: "/pods/one",
    resources: { pids: { limit: 17 } },
  },
};

/** Runs a script that has to succeed; hands back the lines it printed. */
async function lines(script: string): Promise<readonly string[]> {
  const { code, stdout, stderr } = await vm.run(`set -e\ncd /sys/fs/cgroup/pods/one\n${script}`, {
    timeoutMs: 120_000,
  });
  assert.equal(code, 0, `${stderr}${stdout}`);
  return stdout.trim().split("\n");
}

before(async () => {
  if (skip) return;
  vm = await bootMachine();
  const { code, stderr } = await vm.run(
    `set -e
     mkdir -p /tmp/b/rootfs /sys/fs/cgroup/pods/one; tar -C /tmp/b/rootfs -xf /opt/busybox.tar
     echo '${JSON.stringify(config)}' > /tmp/b/config.json
     gantry-oci run --detach --bundle /tmp/b --pid-file /tmp/init c < /dev/null > /dev/null 2>&1`,
    { timeoutMs: 120_000 },
  );
  assert.equal(code, 0, stderr);
});
after(async () => {
  await vm?.[Symbol.asyncDispose]();
});

const exec = (flags: string, script: string) => `gantry-oci exec ${flags} c sh -c '${script}'`;

test("a process that joins is born in the container's cgroup and in its namespace", {
  skip,
  timeout,
}, async () => {
  const out = await lines(`
    ${exec("--detach --pid-file /tmp/p", "exec sleep 100")} < /dev/null > /dev/null 2>&1
    cat /proc/$(cat /tmp/p)/cgroup
    wc -l < cgroup.procs
    kill -9 $(cat /tmp/p)
    ${exec("", "cat /proc/self/cgroup")}
    gantry-oci explain --exec c true | grep -c -E 'move-child|enter-cgroup' || true`);
  assert.deepEqual(out, ["0::/pods/one", "2", "0::/", "0"]);
});

test("it follows a process 1 that has moved below and handed its controllers on", {
  skip,
  timeout,
}, async () => {
  const out = await lines(`
    mkdir init sub
    cat /tmp/init > init/cgroup.procs
    echo +pids > cgroup.subtree_control
    ${exec("", "cat /proc/self/cgroup")}
    ${exec("--cgroup sub", "cat /proc/self/cgroup")}
    ${exec("--cgroup /", "cat /proc/self/cgroup")} 2>&1 | grep -c 'device or resource busy'
    echo -pids > cgroup.subtree_control
    cat /tmp/init > cgroup.procs
    rmdir init sub`);
  assert.deepEqual(out, ["0::/init", "0::/sub", "1"]);
});

test("a frozen container is refused, and a runtime that is killed while it waits leaves nothing", {
  skip,
  timeout,
}, async () => {
  const out = await lines(`
    echo 1 > cgroup.freeze
    until grep -q 'frozen 1' cgroup.events; do sleep 0.1; done
    ${exec("", "true")} 2>&1 | grep -c 'cannot exec in a paused container (use --ignore-paused to override)'
    ${exec("--ignore-paused", "echo > /ran")} & waiting=$!
    until [ $(wc -l < cgroup.procs) -gt 1 ]; do sleep 0.1; done
    kill -9 $waiting
    wait $waiting || true
    echo 0 > cgroup.freeze
    until [ $(wc -l < cgroup.procs) = 1 ]; do sleep 0.1; done
    ls /tmp/b/rootfs/ran 2> /dev/null || echo none`);
  assert.deepEqual(out, ["1", "none"]);
});
