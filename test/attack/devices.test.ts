/** Device nodes that a container makes or finds: what the devices controller does not allow cannot be opened. */
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { must } from "../lib/command.ts";
import { attack, type RawConfig, without } from "./cell.ts";

const disk = ["/probe", "device", "b", "7", "0"];
const kernelLog = ["/probe", "device", "c", "1", "11"];
const memory = ["/probe", "device", "c", "1", "1"];

attack("a node of a disk, of the kernel's log or of memory can be made and not be opened", async (cell) => {
  for (const node of [
    disk,
    kernelLog,
    memory,
    ["/probe", "device", "c", "10", "229"],
    ["/probe", "device", "b", "253", "0"],
  ]) {
    const { stdout, error } = await cell.run(node);
    assert.equal(stdout, "mknod: ok\nread: EPERM\nwrite: EPERM\n", `${node.slice(2)} ${error}`);
  }
  // the attack is real: without the rules of the devices controller the kernel's log is open
  const bare = await cell.run(kernelLog, {
    plan: without("write-cgroup", (step) => step.op === "write-cgroup" && step.file.startsWith("devices.")),
  });
  assert.match(bare.stdout, /^write: ok$/m);
});

attack("a config without any device rule denies all the same", async (cell) => {
  for (const resources of [undefined, {}, { devices: [] }, { devices: null }]) {
    const { stdout, error } = await cell.run(kernelLog, {
      change: (config) => {
        config.linux.resources = resources;
      },
    });
    assert.equal(stdout, "mknod: ok\nread: EPERM\nwrite: EPERM\n", error);
  }
});

attack("a node that an image brings, or a volume, cannot be opened either", async (cell) => {
  const rootfs = cell.rootfs();
  await must(["mknod", join(rootfs, "kmsg"), "c", "1", "11"]);
  chmodSync(join(rootfs, "kmsg"), 0o666);
  const { stdout, stderr } = await cell.run(["/bin/sh", "-c", "cat /kmsg; cat /vol/kmsg; echo end"], {
    rootfs,
    options: { mounts: [{ kind: "bind", source: rootfs, target: "/vol" }] },
  });
  assert.equal(stdout, "end\n");
  assert.equal((stderr.match(/Operation not permitted/g) ?? []).length, 2, stderr);
});

attack("without CAP_MKNOD, as another user, or in a user namespace no node can be made", async (cell) => {
  const identity = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const cases = [
    { options: { capDrop: ["MKNOD"] } },
    { user: { uid: 1000, gid: 1000, additionalGids: [1000] } },
    { options: { userNamespace: { uidMappings: identity, gidMappings: identity } } },
  ];
  for (const given of cases) {
    const rootfs = cell.rootfs();
    chmodSync(join(rootfs, "tmp"), 0o1777);
    const { stdout, error } = await cell.run(disk, { ...given, rootfs });
    assert.match(stdout, /^mknod: (EPERM|EACCES)$/m, error);
  }
});

attack("the default nodes are there, work, and are the ones that they say they are", async (cell) => {
  const names = "null zero full random urandom tty";
  const script = `for n in ${names}; do stat -c '%n %t:%T %a %u' /dev/$n; done; head -c 4 /dev/urandom | wc -c; echo x > /dev/null; echo x > /dev/full`;
  const { stdout, stderr } = await cell.run(["/bin/sh", "-c", script]);
  const numbers = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"];
  const lines = names.split(" ").map((name, index) => `/dev/${name} ${numbers[index]} 666 0`);
  assert.equal(stdout, `${lines.join("\n")}\n4\n`);
  assert.match(stderr, /No space left/);
});

attack("hostile device entries are refused with their place", async (cell) => {
  const entries: readonly (readonly [RawConfig, string])[] = [
    [{ path: "dev/relative", type: "c", major: 1, minor: 3 }, "/linux/devices/0/path"],
    [{ path: "", type: "c", major: 1, minor: 3 }, "/linux/devices/0/path"],
    [{ path: "/dev/x\0y", type: "c", major: 1, minor: 3 }, "/linux/devices/0/path"],
    [{ path: "/dev/x", type: "z", major: 1, minor: 3 }, "/linux/devices/0/type"],
    [{ path: "/dev/x", type: "c", major: -1, minor: 3 }, "/linux/devices/0/major"],
    [{ path: "/dev/x", type: "c", major: 2 ** 32 + 1, minor: 3 }, "/linux/devices/0/major"],
    [{ path: "/dev/x", type: "c", major: 1, minor: 1.5 }, "/linux/devices/0/minor"],
    [{ path: "/dev/x", type: "c" }, "/linux/devices/0"],
    [{ path: "/dev/x", type: "c", major: 1, minor: 3, uid: -1 }, "/linux/devices/0/uid"],
    [{ path: "/dev/x", type: "c", major: 1, minor: 3, uid: 2 ** 32 - 1 }, "/linux/devices/0/uid"],
    [{ path: "/dev/x", type: "c", major: 1, minor: 3, fileMode: 2 ** 31 }, "/linux/devices/0/fileMode"],
    [{ path: "/dev/..", type: "c", major: 1, minor: 3 }, "/linux/devices/0"],
    [{ path: "/", type: "c", major: 1, minor: 3 }, "/linux/devices/0"],
    [{ path: "/bin/sh", type: "c", major: 1, minor: 3 }, "/linux/devices/0"],
  ];
  for (const [device, place] of entries) {
    const { code, pointer, error } = await cell.run(["/bin/true"], {
      change: (config) => {
        config.linux.devices = [device];
      },
    });
    assert.equal(code, undefined, JSON.stringify(device));
    assert.equal(pointer, place, error);
  }
});
