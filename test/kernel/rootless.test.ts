/**
 * Containers of a user without privileges, run by gantry-oci and, as references, by Debian's runc and crun. The user
 * and its subordinate ids stand in files that only a mount namespace of the test's own shows.
 */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { type CommandOptions, command, must, type Outcome } from "../lib/command.ts";
import { makeBusyboxTree } from "../lib/fixtures.ts";
import { needs, programPath } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { firstSubId, makeUser, subIds, type TestUser, uid, userNeeds } from "../lib/user.ts";
import { type Json, merge } from "./bundle.ts";

type RuntimeName = "gantry-oci" | "runc" | "crun";
const all = ["runc", "crun", "gantry-oci"] as const;
const skip = needs(...userNeeds, "runc", "crun", "/bin/busybox", gantryOciProgram);

/** Maps as a user with subordinate ids has them. */
const wide = {
  uidMappings: [
    { containerID: 0, hostID: uid, size: 1 },
    { containerID: 1, hostID: firstSubId, size: subIds },
  ],
  gidMappings: [
    { containerID: 0, hostID: uid, size: 1 },
    { containerID: 1, hostID: firstSubId, size: subIds },
  ],
};

// crun 1.8 takes no hybrid layout of cgroups: its user has none of v2
const users: Partial<Record<RuntimeName, Promise<TestUser>>> = {};

function userOf(name: RuntimeName): Promise<TestUser> {
  const known = users[name] ?? makeUser(name === "crun" ? "umount /sys/fs/cgroup/unified || true" : "");
  users[name] = known;
  return known;
}

after(async () => {
  for (const user of Object.values(users)) await (await user)[Symbol.asyncDispose]();
});

interface CallOptions extends CommandOptions {
  /** Directories of cgroups from which the runtime is called. */
  readonly groups?: readonly string[];
}

interface Bundle {
  readonly user: TestUser;
  /** Path of the runtime. */
  readonly program: string;
  readonly path: string;
  readonly id: string;
  config: Json;
  /** A verb of the runtime, as the user. */
  verb(args: readonly string[], options?: CallOptions): Promise<Outcome>;
  /** `run` in the foreground. */
  run(options?: CallOptions): Promise<Outcome>;
}

let counter = 0;

/** A bundle of the user's own, with the config that `spec --rootless` writes, patched. */
async function withBundle(
  name: RuntimeName,
  script: string,
  patch: Json,
  body: (bundle: Bundle) => Promise<void>,
): Promise<void> {
  const user = await userOf(name);
  const program = name === "gantry-oci" ? user.gantryOci : programPath(name)!;
  const path = mkdtempSync(join(user.home, "bundle-"));
  const id = `gantrytest-${process.pid}-${++counter}`;
  try {
    mkdirSync(join(path, "rootfs"));
    await makeBusyboxTree(join(path, "rootfs"));
    await must(["chown", "-R", `${uid}:${uid}`, path]);
    const verb: Bundle["verb"] = (args, options) =>
      command([...user.enter(options?.groups), program, ...args], options);
    const spec = await verb(["spec", "--rootless", "--bundle", path]);
    assert.equal(spec.code, 0, spec.stderr);
    const written = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as Json;
    const process1 = { terminal: false, args: ["sh", "-c", script] };
    const config = merge(merge(written, { process: process1, root: { readonly: false } }), patch);
    writeFileSync(join(path, "config.json"), JSON.stringify(config));
    const run: Bundle["run"] = (options) => verb(["run", "--bundle", path, id], options);
    try {
      await body({ user, program, path, id, config, verb, run });
    } finally {
      await verb(["delete", "--force", id]);
    }
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** Declares one test for each runtime. */
function each(
  title: string,
  script: string,
  patch: Json,
  body: (bundle: Bundle, name: RuntimeName) => Promise<void>,
  names: readonly RuntimeName[] = all,
): void {
  for (const name of names)
    test(`${name}, as a user: ${title}`, { skip }, () =>
      withBundle(name, script, patch, (bundle) => body(bundle, name)),
    );
}

/** All text of an outcome that failed. */
function failure({ code, stdout, stderr }: Outcome): string {
  assert.notEqual(code, 0, stdout);
  return stderr;
}

each(
  "one own id is enough for root, devices, proc, sysfs and a home",
  "id -u; id -g; cat /proc/self/setgroups; echo x > /dev/null && stat -c %F /dev/null; ls /dev/pts; ls -d /sys/class /proc/1; touch /mine && stat -c %u /mine; echo $HOME; ls /sys/fs/cgroup | wc -l; hostname",
  { hostname: "mine" },
  async ({ run, path }, name) => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assert.notEqual(lines.splice(-2, 1)[0], "0", "the cgroups of the host are not shown");
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

const ownMemory = "grep -E ':(memory|pids):' /proc/self/cgroup";

const noCgroupNamespace = ["pid", "ipc", "uts", "mount", "user"].map((type) => ({ type }));

each(
  "a container without limits stays in the caller's cgroups",
  ownMemory,
  { linux: { namespaces: noCgroupNamespace } },
  async ({ run }) => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    const own = readFileSync("/proc/self/cgroup", "utf8").split("\n");
    assert.deepEqual(
      stdout.trimEnd().split("\n"),
      own.filter((line) => /:(memory|pids):/.test(line)),
    );
  },
);

each(
  "a limit that cannot be set is refused",
  "true",
  { linux: { resources: { memory: { limit: 1 << 26 } } } },
  async ({ run }) => {
    assert.match(failure(await run()), /cannot set memory limit: container could not join or create cgroup/);
  },
  ["runc", "gantry-oci"],
);

each(
  "a cgroup that was named and cannot be made is refused",
  "true",
  { linux: { cgroupsPath: "/gantrytest-nobody/x" } },
  async ({ run }) => {
    assert.match(failure(await run()), /unable to apply cgroup configuration: mkdir .*permission denied/);
  },
  ["runc", "gantry-oci"],
);

each(
  "--rootless false makes every refusal fatal",
  "true",
  {},
  async ({ verb, path, id }) => {
    assert.match(
      failure(await verb(["--rootless", "false", "run", "--bundle", path, id])),
      /permission denied/i,
    );
  },
  ["runc", "gantry-oci"],
);

const v1Memory = existsSync("/sys/fs/cgroup/memory/cgroup.procs");

// crun 1.8 leaves a user's container where it is, on v1
for (const name of ["runc", "gantry-oci"] as const)
  test(`${name}, as a user: limits stand in the cgroups that were delegated`, {
    skip: skip || !v1Memory,
  }, async () => {
    const groups = ["memory", "pids"].map(
      (controller) => `/sys/fs/cgroup/${controller}/gantrytest-delegated-${name}-${process.pid}`,
    );
    for (const group of groups) {
      mkdirSync(group);
      await must(["chown", "-R", `${uid}:${uid}`, group]);
    }
    try {
      const resources = { memory: { limit: 1 << 26 }, pids: { limit: 77 } };
      await withBundle(
        name,
        "exec sleep 100",
        { linux: { resources, namespaces: noCgroupNamespace } },
        async ({ verb, path, id }) => {
          const made = await verb(["run", "--detach", "--bundle", path, id], { groups });
          assert.equal(made.code, 0, made.stderr);
          const { pid } = JSON.parse((await verb(["state", id])).stdout) as { pid: number };
          const own = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
          const place = (controller: string) =>
            own.find((line) => line.split(":")[1] === controller)!.split(":")[2]!;
          const read = (controller: string, file: string) =>
            readFileSync(join("/sys/fs/cgroup", controller, place(controller), file), "utf8").trim();
          assert.equal(read("memory", "memory.limit_in_bytes"), String(1 << 26));
          assert.equal(read("pids", "pids.max"), "77");
          const joined = await verb(["exec", id, "cat", "/proc/self/cgroup"], { groups });
          assert.match(joined.stdout, new RegExp(`:memory:${place("memory")}$`, "m"), joined.stderr);
          assert.equal((await verb(["delete", "--force", id])).code, 0);
          for (const group of groups)
            assert.deepEqual(
              readdirSync(group).filter((entry) => entry.includes(id)),
              [],
            );
        },
      );
    } finally {
      for (const group of groups) rmdirSync(group);
    }
  });

const unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
  existsSync(`${path}/cgroup.controllers`),
);

test("gantry-oci, as a user: a v2 cgroup is made beside the caller's where that was delegated", {
  skip: skip || (unified ? false : "no v2 hierarchy"),
}, async () => {
  const name = `gantrytest-delegated-v2-${process.pid}`;
  const group = join(unified!, name);
  const caller = join(group, "caller");
  mkdirSync(caller, { recursive: true });
  await must(["chown", "-R", `${uid}:${uid}`, group]);
  try {
    const patch = { linux: { namespaces: noCgroupNamespace } };
    await withBundle("gantry-oci", "grep '^0:' /proc/self/cgroup", patch, async ({ run, id }) => {
      const { code, stdout, stderr } = await run({ groups: [caller] });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, `0::/${name}/${id}\n`);
      assert.deepEqual(
        readdirSync(group).filter((entry) => entry === id),
        [],
      );
    });
  } finally {
    for (const path of [caller, group]) rmdirSync(path);
  }
});

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
