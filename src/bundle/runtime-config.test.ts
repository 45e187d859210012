import assert from "node:assert/strict";
import test from "node:test";
import { type Capability, capabilityNames } from "../linux/capabilities.ts";
import type { ImageExecution } from "../spec/image-config.ts";
import { parseRuntimeConfig, type RuntimeConfig } from "../spec/runtime-config.ts";
import type { ContainerOptions } from "./container-options.ts";
import { type BundleHost, buildRuntimeConfig, maskedPaths } from "./runtime-config.ts";

const id = "0123456789abcdef".repeat(4);
const host: BundleHost = {
  architecture: "x64",
  kernel: [6, 1],
  capabilities: capabilityNames.filter((name) => name !== "CAP_SYS_RESOURCE"),
  hostname: "host",
  swapLimit: true,
};
const root = { uid: 0, gid: 0, additionalGids: [0] };

function build(options: ContainerOptions = {}, image: ImageExecution = { Cmd: ["sh"] }, user = root) {
  return buildRuntimeConfig({ id, image, options, user, host, initProgram: "/opt/executor" });
}
const config = (options?: ContainerOptions, image?: ImageExecution, user = root): RuntimeConfig =>
  build(options, image, user).config;
const mountAt = (result: RuntimeConfig, destination: string) =>
  (result.mounts ?? []).find((mount) => mount.destination === destination);

test("what is built is a config that the decoder takes unchanged", () => {
  const built = config({ memoryBytes: 64 << 20, cpus: 2, ulimits: [{ name: "nofile", soft: 10, hard: 20 }] });
  assert.deepEqual(parseRuntimeConfig(JSON.stringify(built)), JSON.parse(JSON.stringify(built)));
});

test("entrypoint and command merge as docker merges them", () => {
  const image = { Entrypoint: ["/entry"], Cmd: ["a", "b"] };
  const args = (options: ContainerOptions) => config(options, image).process?.args;
  assert.deepEqual(args({}), ["/entry", "a", "b"]);
  assert.deepEqual(args({ command: ["c"] }), ["/entry", "c"]);
  assert.deepEqual(args({ entrypoint: ["/own"] }), ["/own"]);
  assert.deepEqual(args({ entrypoint: ["/own"], command: ["c"] }), ["/own", "c"]);
  assert.deepEqual(args({ entrypoint: [""], command: ["c"] }), ["c"]);
  assert.throws(() => args({ entrypoint: [""] }), /no command specified/);
  assert.throws(() => config({}, {}), /no command specified/);
});

test("the environment has PATH and HOSTNAME, then the image's, then the user's, who may take one away", () => {
  const image = { Cmd: ["x"], Env: ["PATH=/image", "A=1", "B=2"] };
  assert.deepEqual(config({ env: ["B=3", "A", "C="] }, image).process?.env, [
    "PATH=/image",
    "HOSTNAME=0123456789ab",
    "B=3",
    "C=",
  ]);
  assert.throws(() => config({ env: ["=x"] }, image), /invalid environment variable/);
});

test("the working directory is the user's, the image's or the root", () => {
  assert.equal(config().process?.cwd, "/");
  assert.equal(config({}, { Cmd: ["x"], WorkingDir: "/srv/../app/" }).process?.cwd, "/app/");
  assert.equal(config({ workingDirectory: "/w" }, { Cmd: ["x"], WorkingDir: "/app" }).process?.cwd, "/w");
  assert.throws(() => config({ workingDirectory: "w" }), /needs to be an absolute path/);
});

test("root gets docker's fourteen capabilities, another user only the bounding set, nobody an inheritable one", () => {
  const sets = config().process?.capabilities;
  assert.equal(sets?.effective?.length, 14);
  assert.deepEqual(sets?.effective, sets?.bounding);
  assert.equal(sets?.inheritable, undefined);
  const other = config({}, undefined, { uid: 1000, gid: 1000, additionalGids: [1000] }).process?.capabilities;
  assert.equal(other?.bounding?.length, 14);
  assert.equal(other?.effective, undefined);
});

test("capabilities are added and dropped by docker's rules", () => {
  const bounding = (options: ContainerOptions) =>
    config(options).process?.capabilities?.bounding as Capability[];
  assert.ok(bounding({ capAdd: ["net_admin"] }).includes("CAP_NET_ADMIN"));
  assert.ok(!bounding({ capDrop: ["CAP_CHOWN"] }).includes("CAP_CHOWN"));
  assert.deepEqual(bounding({ capDrop: ["all"], capAdd: ["chown"] }), ["CAP_CHOWN"]);
  assert.equal(bounding({ capAdd: ["ALL"], capDrop: ["SYS_ADMIN"] }).length, host.capabilities.length - 1);
  assert.throws(() => bounding({ capAdd: ["FOO"] }), /invalid CapAdd: unknown capability: "FOO"/);
});

test("privileged means everything that the engine itself has, and no masks", () => {
  const built = config({ privileged: true });
  assert.deepEqual(built.process?.capabilities?.effective, host.capabilities);
  assert.equal(built.linux?.seccomp, undefined);
  assert.deepEqual(built.linux?.maskedPaths, []);
  assert.deepEqual(built.linux?.resources?.devices, [{ allow: true, access: "rwm" }]);
  assert.ok(!mountAt(built, "/sys")?.options?.includes("ro"));
});

test("security options choose the filter, the flag and the masks", () => {
  assert.equal(config().linux?.seccomp?.defaultAction, "SCMP_ACT_ERRNO");
  assert.deepEqual(config().linux?.maskedPaths, maskedPaths);
  assert.equal(config({ securityOpt: ["seccomp=unconfined"] }).linux?.seccomp, undefined);
  assert.equal(config({ securityOpt: ["no-new-privileges"] }).process?.noNewPrivileges, true);
  assert.equal(config({ securityOpt: ["no-new-privileges=false"] }).process?.noNewPrivileges, false);
  assert.deepEqual(config({ securityOpt: ["systempaths=unconfined"] }).linux?.readonlyPaths, []);
  assert.match(
    build({ securityOpt: ["apparmor=mine"] }).warnings[0]!,
    /AppArmor profile "mine" is not applied/,
  );
  assert.throws(() => config({ securityOpt: ["nonsense"] }), /invalid --security-opt 2: "nonsense"/);
});

test("a profile in docker's form has its conditions decided", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
    syscalls: [
      { names: ["read"], action: "SCMP_ACT_ALLOW" },
      { names: ["mount"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38, excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } },
      { names: ["s390_runtime_instr"], action: "SCMP_ACT_ALLOW", includes: { arches: ["s390"] } },
      { name: "write", action: "SCMP_ACT_ALLOW" },
      { names: ["kcmp"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }] },
    ],
  };
  // a mask that a double cannot hold must stay exact
  const text = JSON.stringify(profile).replace('"value":1', '"value":18446744073709551615');
  const names = (options: ContainerOptions) =>
    (config(options).linux?.seccomp?.syscalls ?? []).flatMap((rule) => rule.names);
  const plain = { securityOpt: [`seccomp=${text}`] };
  assert.deepEqual(names(plain), ["read", "clone3", "ptrace", "write", "kcmp"]);
  assert.deepEqual(names({ ...plain, capAdd: ["SYS_ADMIN"] }), ["read", "mount", "ptrace", "write", "kcmp"]);
  assert.deepEqual(config(plain).linux?.seccomp?.architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
  assert.equal(config(plain).linux?.seccomp?.syscalls?.at(-1)?.args?.[0]?.value, 18446744073709551615n);
  assert.throws(() => config({ securityOpt: ["seccomp={"] }), /parse seccomp profile/);
  assert.throws(
    () => config({ securityOpt: ['seccomp={"defaultAction":"X"}'] }),
    /\/defaultAction: "X" is not one of/,
  );
});

test("binds are recursive and private, and read-only all the way down", () => {
  const built = config({
    mounts: [
      { kind: "bind", source: "/h", target: "/t/", readOnly: true },
      { kind: "bind", source: "/h", target: "/a/b", nonRecursive: true, propagation: "rslave" },
    ],
  });
  assert.deepEqual(mountAt(built, "/t")?.options, ["rbind", "ro", "rro", "rprivate"]);
  assert.deepEqual(mountAt(built, "/a/b")?.options, ["bind", "rslave"]);
});

test("a user's mount stands in for a default one, and deeper ones come later", () => {
  const built = config({
    mounts: [
      { kind: "tmpfs", target: "/a/b/c" },
      { kind: "tmpfs", target: "/a", options: ["size=1m", "exec"] },
      { kind: "bind", source: "/dev", target: "/dev" },
    ],
  });
  const places = (built.mounts ?? []).map(({ destination }) => destination);
  assert.deepEqual(places, ["/proc", "/sys", "/a", "/dev", "/sys/fs/cgroup", "/a/b/c"]);
  assert.deepEqual(mountAt(built, "/a")?.options, ["nosuid", "nodev", "size=1m", "exec"]);
  assert.throws(
    () =>
      config({
        mounts: [
          { kind: "tmpfs", target: "/x" },
          { kind: "tmpfs", target: "/x/" },
        ],
      }),
    /Duplicate mount point: \/x/,
  );
  assert.throws(() => config({ mounts: [{ kind: "tmpfs", target: "/" }] }), /must be an absolute path below/);
});

test("limits become resources, with docker's swap and its bounds", () => {
  const { memory, cpu, pids } = config({ memoryBytes: 100 << 20, cpus: 1.5, pidsLimit: 50 }).linux!
    .resources!;
  assert.deepEqual(memory, { limit: 100 << 20, swap: 200 << 20 });
  assert.deepEqual(cpu, { period: 100000, quota: 150000 });
  assert.deepEqual(pids, { limit: 50 });
  assert.equal(config({ memoryBytes: 100 << 20, memorySwapBytes: -1 }).linux?.resources?.memory?.swap, -1);
  assert.equal(config({ pidsLimit: -1 }).linux?.resources?.pids, undefined);
  assert.throws(() => config({ memoryBytes: 1024 }), /Minimum memory limit allowed is 6MB/);
  assert.throws(() => config({ memorySwapBytes: 1 << 30 }), /always set the Memory limit/);
  assert.throws(
    () => config({ memoryBytes: 8 << 20, memorySwapBytes: 7 << 20 }),
    /memoryswap limit should be larger/,
  );
});

test("ulimits are named and unlimited is the kernel's largest number", () => {
  const { rlimits } = config({ ulimits: [{ name: "memlock", soft: -1, hard: -1 }] }).process!;
  assert.deepEqual(rlimits, [{ type: "RLIMIT_MEMLOCK", soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n }]);
  assert.throws(() => config({ ulimits: [{ name: "foo", soft: 1, hard: 1 }] }), /invalid ulimit type: foo/);
  assert.throws(() => config({ ulimits: [{ name: "core", soft: 2, hard: 1 }] }), /soft limit must be less/);
});

test("network host shares the namespace and the name of the host", () => {
  const built = config({ network: "host" });
  assert.equal(built.hostname, "host");
  assert.ok(!built.linux?.namespaces?.some(({ type }) => type === "network"));
  assert.deepEqual(built.linux?.sysctl, {});
  assert.equal(config({ uts: "host" }).hostname, undefined);
});

test("the host's IPC namespace brings its shared memory, and its queues by a mount of their file system", () => {
  const built = config({ ipc: "host" });
  assert.equal(mountAt(built, "/dev/shm")?.source, "/dev/shm");
  assert.equal(mountAt(built, "/dev/mqueue")?.type, "mqueue");
});

test("a host name of its own needs a UTS namespace of its own", () => {
  assert.throws(
    () => config({ uts: "host", hostname: "x" }),
    /conflicting options: hostname and the UTS mode/,
  );
});

test("no more CPUs than the machine has", () => {
  const twoCpus = (cpus: number) =>
    buildRuntimeConfig({
      ...{ id, image: { Cmd: ["sh"] }, options: { cpus }, user: root, host: { ...host, cpuCount: 2 } },
    });
  assert.equal(twoCpus(2).config.linux?.resources?.cpu?.quota, 200_000);
  for (const cpus of [2.01, 0.001, Number.NaN])
    assert.throws(() => twoCpus(cpus), /from 0\.01 to 2\.00, as there are only 2 CPUs/, String(cpus));
});

test("a user namespace brings its mappings, and nothing that needs unmapped ids", () => {
  const mappings = [{ containerID: 0, hostID: 100000, size: 4 }];
  const built = config({ userNamespace: { uidMappings: mappings, gidMappings: mappings } });
  assert.ok(built.linux?.namespaces?.some(({ type }) => type === "user"));
  assert.deepEqual(built.linux?.uidMappings, mappings);
  assert.ok(!mountAt(built, "/dev/pts")?.options?.includes("gid=5"));
  assert.equal(built.linux?.sysctl?.["net.ipv4.ping_group_range"], undefined);
});

test("init stands before the program", () => {
  const built = config({ init: true });
  assert.deepEqual(built.process?.args, ["/sbin/docker-init", "init", "--", "sh"]);
  assert.equal(mountAt(built, "/sbin/docker-init")?.source, "/opt/executor");
});
