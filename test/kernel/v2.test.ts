/** Pure cgroup v2, in a virtual machine: limits, the device filter, the namespace, and what is left. */
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { bootMachine, type Machine, machineMissing } from "../vm/machine.ts";

const skip = machineMissing() || needs("root", gantryOciProgram);
let vm: Machine;

before(async () => {
  if (!skip) vm = await bootMachine();
});
after(async () => {
  await vm?.[Symbol.asyncDispose]();
});

const namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type }));

function config(script: string, linux: object = {}): string {
  return JSON.stringify({
    ociVersion: "1.3.0",
    root: { path: "rootfs" },
    process: { cwd: "/", args: ["sh", "-c", script], env: ["PATH=/bin"] },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid"] },
    ],
    linux: { namespaces, cgroupsPath: "/pods/one", ...linux },
  });
}

/** Runs a container in the machine and says what its program printed, and what is left of its cgroup. */
async function run(script: string, linux: object): Promise<{ code: number; stdout: string; stderr: string }> {
  return await vm.run(
    `set -e
     rm -rf /tmp/b; mkdir -p /tmp/b/rootfs; tar -C /tmp/b/rootfs -xf /opt/busybox.tar
     cat > /tmp/b/config.json <<'CONFIG'
${config(script, linux)}
CONFIG
     code=0; gantry-oci run --bundle /tmp/b c || code=$?
     [ ! -e /sys/fs/cgroup/pods/one ] || echo "left: cgroup"
     exit $code`,
    { timeoutMs: 120_000 },
  );
}

const resources = {
  memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 },
  cpu: { quota: 25000, period: 50000, shares: 1024 },
  pids: { limit: 17 },
};

test("limits stand in the files of the container's own v2 cgroup", { skip, timeout: 180_000 }, async () => {
  const files = ["memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight", "pids.max"];
  const { code, stdout, stderr } = await run(
    `cat /proc/self/cgroup; cd /sys/fs/cgroup; cat ${files.join(" ")}`,
    { resources },
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trim().split("\n"), [
    "0::/",
    String(64 << 20),
    String(32 << 20),
    String(32 << 20),
    "25000 50000",
    "100",
    "17",
  ]);
});

test("the device filter lets through what a rule allows, and nothing else", {
  skip,
  timeout: 180_000,
}, async () => {
  const devices = [
    { path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 0o666 },
    { path: "/dev/port", type: "c", major: 1, minor: 4, fileMode: 0o666 },
  ];
  const rules = [{ allow: false }, { allow: true, type: "c", major: 1, minor: 11, access: "w" }];
  const { stdout, stderr } = await run(
    "echo x > /dev/null && echo null; echo x > /dev/kmsg && echo kmsg; (: < /dev/port) || echo refused",
    { devices, resources: { devices: rules } },
  );
  assert.equal(stdout, "null\nkmsg\nrefused\n", stderr);
});

test("a program that takes too much memory is killed, and its status says so", {
  skip,
  timeout: 180_000,
}, async () => {
  const { code, stdout } = await run("exec tail /dev/zero", {
    resources: { memory: { limit: 16 << 20, swap: 16 << 20 } },
  });
  assert.equal(code, 137);
  assert.equal(stdout, "");
});

test("the program is born in its cgroup: not even its first instruction is outside", {
  skip,
  timeout: 180_000,
}, async () => {
  const { code, stdout, stderr } = await vm.run(
    `gantry-oci explain --bundle /tmp/b | grep -E ' (clone|move-child|enable-controllers|set-device-filter) ' | cut -c1-80`,
    { timeoutMs: 60_000 },
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /enable-controllers .*\n.* clone .*\n.* set-device-filter/);
  assert.doesNotMatch(stdout, /move-child/);
});
