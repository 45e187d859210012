/** Containers of a user without privileges, run by gantry-oci and, as references, by Debian's runc and crun. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { command } from "../lib/command.ts";
import { until } from "../lib/until.ts";
import { firstSubId, subIds, uid } from "../lib/user.ts";
import type { Json } from "./bundle.ts";
import { hasV1 } from "./own-cgroups.ts";
import { each, failure, releaseUsers, wide } from "./user-bundle.ts";

after(releaseUsers);

each(
  "one own id is enough for root, devices, proc, sysfs and a home",
  "id -u; id -g; cat /proc/self/setgroups; echo x > /dev/null && stat -c %F /dev/null; ls /dev/pts; ls -d /sys/class /proc/1; touch /mine && stat -c %u /mine; echo $HOME; ls /sys/fs/cgroup | wc -l; hostname",
  { hostname: "mine" },
  async ({ run, path }, name) => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    const shown = lines.splice(-2, 1)[0] !== "0";
    // runc hides a v2 tree in which it could make no cgroup
    assert.equal(shown, name !== "runc" || hasV1("memory"), "the cgroups of the host");
    // crun lets newuidmap write even this map
    if (name === "crun") lines[2] = "deny";
    assert.deepEqual(lines, [
      ...["0", "0", "deny", "character special file", "ptmx", "/proc/1", "/sys/class", "0", "/root", "mine"],
    ]);
    assert.equal(statSync(join(path, "rootfs/mine")).uid, uid);
  },
);

each(
  "create, start, state, kill and delete",
  "exec sleep 100",
  {},
  async ({ verb, id, path, user }, name) => {
    const created = await verb(["create", "--bundle", path, id]);
    assert.equal(created.code, 0, created.stderr);
    const root = join(user.home, "run", name);
    assert.ok(existsSync(join(root, id)), "the state is not below XDG_RUNTIME_DIR");
    assert.equal(statSync(root).mode & 0o777, 0o700);
    const state = async () => JSON.parse((await verb(["state", id])).stdout) as Record<string, unknown>;
    assert.equal((await state()).status, "created");
    assert.equal((await verb(["start", id])).code, 0);
    const { pid, status } = await state();
    assert.equal(status, "running");
    assert.equal(statSync(`/proc/${pid}`).uid, uid);
    assert.equal((await verb(["kill", id, "KILL"])).code, 0);
    await until("the container to stop", async () => (await state()).status === "stopped");
    assert.equal((await verb(["delete", id])).code, 0);
    assert.ok(!existsSync(join(root, id)));
  },
);

each(
  "subordinate ids are mapped by newuidmap, and further groups can be had",
  "cat /proc/self/uid_map | tr -s ' '; id -u; id -G; touch /tmp/mine",
  { linux: wide, process: { user: { uid: 1000, gid: 1000, additionalGids: [7, 20] } } },
  async ({ run, path }) => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assert.deepEqual(lines.slice(0, 2), [` 0 ${uid} 1`, ` 1 ${firstSubId} ${subIds}`]);
    assert.equal(lines[2], "1000");
    assert.deepEqual(lines[3]!.split(" ").sort(), ["1000", "20", "7"]);
    assert.equal(statSync(join(path, "rootfs/tmp/mine")).uid, firstSubId + 999);
  },
  // runc 1.1 sets no groups at all for a user
  ["crun", "gantry-oci"],
);

for (const [title, linux] of [
  ["one id", {}],
  ["subordinate ids", wide],
] as const)
  each(`exec joins a container with ${title}`, "exec sleep 100", { linux }, async ({ verb, id, path }) => {
    const made = await verb(["run", "--detach", "--bundle", path, id]);
    assert.equal(made.code, 0, made.stderr);
    const script = "id -u; cat /proc/1/comm; touch /tmp/mine && stat -c %u /tmp/mine; exit 6";
    const user = linux === wide ? ["--user", "1000:1000"] : [];
    const { code, stdout, stderr } = await verb(["exec", ...user, id, "sh", "-c", script]);
    const own = linux === wide ? "1000" : "0";
    assert.deepEqual([code, stdout], [6, `${own}\nsleep\n${own}\n`], stderr);
  });

each(
  "ids that are not the user's are refused with the reason",
  "true",
  {
    linux: {
      uidMappings: [wide.uidMappings[0], { containerID: 1, hostID: 5, size: 10 }],
      gidMappings: wide.gidMappings,
    },
  },
  async ({ run }) => {
    assert.match(failure(await run()), /newuidmap: uid range \[1-11\) -> \[5-15\) not allowed/);
  },
);

each(
  "without a user namespace nothing is begun",
  "true",
  {
    hostname: null,
    linux: { uidMappings: null, gidMappings: null, namespaces: [{ type: "mount" }, { type: "pid" }] },
  },
  async ({ run }) => {
    assert.match(failure(await run()), /rootless container requires user namespaces/);
  },
  ["runc", "gantry-oci"],
);

each(
  "a group of devpts that is not mapped is left out",
  "stat -c %g /dev/pts/ptmx; ls -l /dev/ptmx | grep -c pts/ptmx",
  {
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
    ],
  },
  async ({ run }) => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "0\n1\n");
  },
  // runc refuses the config
  ["crun", "gantry-oci"],
);

each(
  "a read-only root, a tmpfs, hidden paths, a filter and a volume of the user's",
  "touch /x 2>&1; touch /tmp/y && echo tmp; cat /proc/kcore | wc -c; grep Seccomp: /proc/self/status; mkdir /tmp/z 2>&1; cat /vol/here; touch /vol/new 2>&1",
  {
    root: { readonly: true },
    linux: {
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
      },
    },
  },
  async ({ run, path, config }) => {
    const mounts = [
      ...(config.mounts as Json[]),
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"] },
      {
        destination: "/vol",
        type: "bind",
        source: join(path, "vol"),
        options: ["rbind", "ro", "nosuid", "nodev"],
      },
    ];
    mkdirSync(join(path, "vol"));
    mkdirSync(join(path, "rootfs/vol"));
    writeFileSync(join(path, "vol/here"), "here\n");
    writeFileSync(join(path, "config.json"), JSON.stringify({ ...config, mounts }));
    const { code, stdout, stderr } = await run();
    assert.equal(code, 1, stderr);
    const lines = stdout.trimEnd().split("\n");
    assert.deepEqual(lines, [
      "touch: /x: Read-only file system",
      "tmp",
      "0",
      "Seccomp:\t2",
      "mkdir: can't create directory '/tmp/z': Operation not permitted",
      "here",
      "touch: /vol/new: Read-only file system",
    ]);
  },
);

each(
  "a better place with the OOM killer than the caller's is refused",
  "true",
  { process: { oomScoreAdj: -900 } },
  async ({ run }) => {
    assert.match(failure(await run()), /oom_score_adj|permission denied/i);
  },
);

each(
  "sysfs of the host's network is a copy of the host's",
  "ls -d /sys/class; touch /sys/x 2>&1",
  {
    mounts: [
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    ],
  },
  async ({ run }) => {
    const { stdout, stderr } = await run();
    assert.equal(stdout, "/sys/class\ntouch: /sys/x: Read-only file system\n", stderr);
  },
  // runc 1.1 is refused the mount
  ["crun", "gantry-oci"],
);

/** As podman runs it for a user: root of a user namespace and a mount namespace that podman made. */
const asRoot = ["unshare", "--user", "--map-root-user", "--map-auto", "--mount"];

each(
  "root of a user namespace runs a container in it: devices are bound, cgroups are left as they are",
  "id -u; cat /proc/self/uid_map | wc -l; echo x > /dev/null && stat -c %F /dev/null; ls -d /sys/class /proc/1; touch /mine && stat -c %u /mine; grep -c CapEff /proc/self/status",
  {
    process: { user: { uid: 0, gid: 0, additionalGids: [7] } },
    linux: {
      uidMappings: null,
      gidMappings: null,
      namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })),
      resources: { devices: [{ allow: false, access: "rwm" }] },
    },
  },
  async ({ user, program, path, id }) => {
    const run = [program, "run", "--bundle", path, id];
    const { code, stdout, stderr } = await command([...user.enter(), ...asRoot, ...run]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.trimEnd().split("\n"), [
      "0",
      "2",
      "character special file",
      "/proc/1",
      "/sys/class",
      "0",
      "1",
    ]);
  },
);
