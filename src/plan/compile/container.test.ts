import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../../base/error.ts";
import { cgroupLayout } from "../../linux/cgroup-mounts.ts";
import { parseMountinfo } from "../../linux/mountinfo.ts";
import { runtimeConfig } from "../../spec/runtime-config.ts";
import { encodePlan } from "../encode.ts";
import type { HostFacts } from "../host-facts.ts";
import { operations } from "../operations.ts";
import type { Plan } from "../plan.ts";
import { compileContainer } from "./container.ts";
import { withFilter } from "./seccomp.ts";

const facts: HostFacts = {
  kernel: { release: "6.12.0", major: 6, minor: 12 },
  architecture: "x64",
  uid: 0,
  gid: 0,
  capabilities: ((1n << 41n) - 1n) & ~(1n << 24n),
  inUserNamespace: false,
  setgroupsDenied: false,
  mayWriteBelow: () => true,
  programPath: (name) => `/usr/bin/${name}`,
  lastCapability: 40,
  rlimits: { RLIMIT_NOFILE: { soft: 1024n, hard: 4096n } },
  cgroups: cgroupLayout(parseMountinfo("30 20 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"), "0::/\n"),
  unifiedControllers: ["memory"],
  delegatedCgroupFiles: ["cgroup.procs"],
  securityModules: [],
};

type Patch = { readonly process?: object; readonly linux?: object } & Readonly<Record<string, unknown>>;

function compile(
  { process, linux, ...rest }: Patch,
  host: HostFacts = facts,
): { plan: Plan; warnings: string[] } {
  const warnings: string[] = [];
  const plan = compileContainer(
    withFilter({
      id: "c",
      config: runtimeConfig(
        {
          ociVersion: "1.3.0",
          root: { path: "rootfs" },
          process: { cwd: "/", args: ["true"], ...process },
          linux: { namespaces: [{ type: "mount" }], ...linux },
          ...rest,
        },
        "",
      ),
      bundle: "/bundle",
      facts: host,
      mode: { kind: "oci", state: "/run/c", awaitStart: false, foreground: true },
      warn: (message, pointer) => warnings.push(`${pointer}: ${message}`),
    }),
  );
  encodePlan(plan);
  return { plan, warnings };
}

const ns = (...types: readonly string[]) => types.map((type) => ({ type }));
const ids = [{ containerID: 0, hostID: 1000, size: 10 }];

const refused: readonly (readonly [what: string, patch: Patch, pointer: string, message: RegExp])[] = [
  ["no program", { process: { args: [] } }, "/process/args", /args must not be empty/],
  ["an empty program name", { process: { args: [""] } }, "/process/args/0", /must have a name/],
  [
    "a variable without a name",
    { process: { env: ["=x"] } },
    "/process/env/0",
    /invalid environment variable/,
  ],
  ["a host name in the host's namespace", { hostname: "x" }, "/hostname", /without a private UTS namespace/],
  [
    "a domain name in the host's namespace",
    { domainname: "x" },
    "/domainname",
    /without a private UTS namespace/,
  ],
  [
    "no mount namespace",
    { linux: { namespaces: ns("pid") } },
    "/linux/namespaces",
    /a mount namespace is needed/,
  ],
  [
    "a namespace twice",
    { linux: { namespaces: ns("mount", "pid", "pid") } },
    "/linux/namespaces/2/type",
    /duplicated ns "pid"/,
  ],
  [
    "a user namespace without maps",
    { linux: { namespaces: ns("mount", "user") } },
    "/linux/uidMappings",
    /needs user mappings/,
  ],
  [
    "maps without a user namespace",
    { linux: { namespaces: ns("mount"), gidMappings: ids } },
    "/linux/gidMappings",
    /without a user namespace/,
  ],
  [
    "maps that overlap",
    {
      linux: {
        namespaces: ns("mount", "user"),
        uidMappings: [...ids, { containerID: 5, hostID: 9000, size: 1 }],
        gidMappings: ids,
      },
    },
    "/linux/uidMappings",
    /overlaps/,
  ],
  [
    "a user that is not mapped",
    {
      process: { user: { uid: 10 } },
      linux: { namespaces: ns("mount", "user"), uidMappings: ids, gidMappings: ids },
    },
    "/process/user/uid",
    /10 is not mapped/,
  ],
  [
    "time offsets without a time namespace",
    { linux: { timeOffsets: { boottime: { secs: 1 } } } },
    "/linux/timeOffsets",
    /new time namespace/,
  ],
  [
    "a sysctl of the machine",
    { linux: { sysctl: { "vm.overcommit_memory": "1" } } },
    "/linux/sysctl/vm.overcommit_memory",
    /not in a separate kernel namespace/,
  ],
  [
    "a sysctl of the host's network",
    { linux: { sysctl: { "net.ipv4.ip_forward": "1" } } },
    "/linux/sysctl/net.ipv4.ip_forward",
    /not allowed in the hosts network namespace/,
  ],
  [
    "a sysctl that leaves its folder",
    { linux: { sysctl: { "net/../kernel/core_pattern": "|/x" } } },
    "/linux/sysctl/net~1..~1kernel~1core_pattern",
    /is not the name of a sysctl/,
  ],
  [
    "a hard limit above the own one",
    { process: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 1, hard: 5000 }] } },
    "/process/rlimits/0/hard",
    /RLIMIT_NOFILE 5000 is above 4096.*CAP_SYS_RESOURCE/,
  ],
  [
    "an unknown limit",
    { process: { rlimits: [{ type: "RLIMIT_FOO", soft: 1, hard: 1 }] } },
    "/process/rlimits/0/type",
    /invalid rlimit type/,
  ],
  [
    "a soft limit above the hard one",
    { process: { rlimits: [{ type: "RLIMIT_CPU", soft: 2, hard: 1 }] } },
    "/process/rlimits/0/soft",
    /above the hard limit/,
  ],
  [
    "an effective capability that is not permitted",
    { process: { capabilities: { effective: ["CAP_KILL"] } } },
    "/process/capabilities/effective/0",
    /CAP_KILL is not in the permitted set/,
  ],
  ["a mount without type", { mounts: [{ destination: "/x" }] }, "/mounts/0/type", /needs a type/],
  [
    "a bind without source",
    { mounts: [{ destination: "/x", options: ["bind"] }] },
    "/mounts/0/source",
    /needs a source/,
  ],
  [
    "an id-mapped tmpfs",
    { mounts: [{ destination: "/x", type: "tmpfs", options: ["idmap"] }] },
    "/mounts/0",
    /only a bind mount/,
  ],
  [
    "an id-mapped mount without a user namespace",
    { mounts: [{ destination: "/x", source: "/y", options: ["bind", "idmap"] }] },
    "/mounts/0",
    /needs a user namespace/,
  ],
  [
    "a controller that is not there",
    { linux: { resources: { pids: { limit: 1 } } } },
    "/linux/resources/pids/limit",
    /controller "pids" is not available/,
  ],
  ["the root of the cgroups", { linux: { cgroupsPath: "/../" } }, "/linux/cgroupsPath", /below the root/],
  [
    "a device without numbers",
    { linux: { devices: [{ type: "c", path: "/dev/x" }] } },
    "/linux/devices/0",
    /needs a major and a minor number/,
  ],
  [
    "a priority for a policy without",
    { process: { scheduler: { policy: "SCHED_OTHER", priority: 1 } } },
    "/process/scheduler/priority",
    /only be specified for SchedFIFO or SchedRR/,
  ],
  [
    "a node that is not one",
    { linux: { memoryPolicy: { mode: "MPOL_BIND", nodes: "0,x" } } },
    "/linux/memoryPolicy/nodes",
    /is not a node/,
  ],
  [
    "an AppArmor profile without AppArmor",
    { process: { apparmorProfile: "p" } },
    "/process/apparmorProfile",
    /not enabled on this host/,
  ],
];

for (const [what, patch, pointer, message] of refused)
  test(`${what} is refused, with the pointer ${pointer}`, () => {
    assert.throws(
      () => compile(patch),
      (error) => {
        assert.ok(isGantryError(error, "invalid-argument"), String(error));
        assert.match(error.message, message);
        assert.equal(error.detail.pointer, pointer);
        return true;
      },
    );
  });

test("capabilities that nobody can give are left out with a warning", () => {
  const sets = { bounding: ["CAP_KILL", "CAP_NOPE", "CAP_SYS_RESOURCE"], permitted: ["CAP_KILL"] };
  const { plan, warnings } = compile({ process: { capabilities: sets } });
  assert.deepEqual(warnings, [
    "/process/capabilities/bounding/1: capability CAP_NOPE is not known and is left out",
    "/process/capabilities/bounding/2: capability CAP_SYS_RESOURCE is not held by this process and is left out",
  ]);
  const drop = plan.child.find((step) => step.op === "drop-bounding");
  assert.equal(drop?.op === "drop-bounding" && drop.keep, 1n << 5n);
});

test("cgroup paths that climb stay below the mount", () => {
  const { plan } = compile({ linux: { cgroupsPath: "../../x" } });
  const made = plan.host.find((step) => step.op === "make-cgroup");
  assert.equal(made?.op === "make-cgroup" && made.path, "/x");
});

test("more binds than there are registers are opened in the child", () => {
  const mounts = Array.from({ length: 400 }, (_, index) => ({
    destination: `/m/${index}`,
    source: "/s",
    options: ["bind"],
  }));
  const { plan } = compile({ mounts });
  assert.equal(plan.child.filter((step) => step.op === "attach-mount").length, 400);
  assert.ok(plan.child.some((step) => step.op === "clone-tree"));
});

test("no step that opens a descriptor follows close-descriptors, and exec is the last", () => {
  const { plan } = compile({ linux: { namespaces: ns("mount", "pid", "network", "ipc", "uts", "cgroup") } });
  const names = plan.child.map(({ op }) => op);
  assert.equal(names.at(-1), "exec");
  const after = names.slice(names.indexOf("close-descriptors") + 1);
  assert.ok(after.length > 1 && after.length < names.length);
  for (const name of after)
    assert.ok(!Object.values<string>(operations[name].operands).includes("fd+"), name);
});

test("a child moves itself into v1 cgroups only where it is root on the host and sees the host's paths", () => {
  const mounts = parseMountinfo("31 20 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids");
  const v1 = { ...facts, cgroups: cgroupLayout(mounts, "3:pids:/\n") };
  const joined = { namespaces: [{ type: "mount", path: "/proc/7/ns/mnt" }] };
  const user = { namespaces: ns("mount", "user"), uidMappings: ids, gidMappings: ids };
  for (const [linux, own] of [
    [{}, true],
    [joined, false],
    [user, false],
  ] as const) {
    const { plan } = compile({ linux }, v1);
    assert.equal(
      plan.child.some(({ op }) => op === "enter-cgroup"),
      own,
    );
    assert.equal(
      plan.host.some(({ op }) => op === "move-child"),
      !own,
    );
  }
});

test("only the executor's own values are filled in later: an annotation may hold their names", () => {
  const annotations = { a: "@PID@ of user@host" };
  const { plan } = compile({ annotations, hooks: { createRuntime: [{ path: "/bin/true" }] } });
  const texts = plan.host.flatMap((step) =>
    step.op === "run-hook"
      ? [step.state]
      : step.op === "record-start" && step.name !== "quick"
        ? [step.record]
        : [],
  );
  assert.equal(texts.length, 3);
  for (const text of texts) {
    assert.equal(text.split("@PID@").length, 2);
    const late = { "@PID@": "7", "@START@": "8", "@STDIO@": "[]" };
    const values = Object.entries(late).reduce((done, [name, value]) => done.replaceAll(name, value), text);
    const filled = JSON.parse(values) as object;
    assert.deepEqual(Reflect.get(filled, "annotations"), annotations);
    assert.equal(Reflect.get(filled, "pid"), 7);
  }
});

test("what the host does not have for a config is refused with its pointer", () => {
  const network = { namespaces: [{ type: "mount" }, { type: "network" }], netDevices: { eth0: {} } };
  const without = (number: number) => ({
    ...facts,
    capabilities: facts.capabilities & ~(1n << BigInt(number)),
  });
  for (const [patch, host, code, pointer] of [
    [{ linux: { intelRdt: {} } }, facts, "failed-precondition", "/linux/intelRdt"],
    [{ linux: network }, without(12), "permission-denied", "/linux/netDevices"],
    [
      {
        linux: {
          seccomp: {
            defaultAction: "SCMP_ACT_ALLOW",
            listenerPath: "/run/agent.sock",
            syscalls: [{ names: ["read", "sendmsg"], action: "SCMP_ACT_NOTIFY" }],
          },
        },
      },
      without(19),
      "invalid-argument",
      "/linux/seccomp/syscalls/0",
    ],
  ] as const)
    assert.throws(
      () => compile(patch, host),
      (error) => isGantryError(error, code) && error.detail.pointer === pointer,
    );
});

test("a kernel that is too old is named, with the call that it lacks", () => {
  const host = (major: number, minor: number) => ({
    ...{ ...facts, kernel: { release: `${major}.${minor}.0-generic`, major, minor } },
  });
  assert.throws(
    () => compile({}, host(5, 11)),
    (error) =>
      isGantryError(error, "failed-precondition") &&
      /Linux 5\.12 or later is needed \(mount_setattr\), this is 5\.11\.0-generic/.test(error.message),
  );
  compile({}, host(5, 12));
});

test("a limit whose cgroup controller the host lacks is refused by the controller's name", () => {
  const linux = { resources: { pids: { limit: 5 } } };
  assert.throws(() => compile({ linux }), /the cgroup controller "pids" is not available on this host/);
});
