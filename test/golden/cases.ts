/** The golden plans: one matter each, on top of a config that asks for as little as possible. */
import type { ContainerOptions } from "../../src/bundle/container-options.ts";
import { type BundleHost, buildRuntimeConfig } from "../../src/bundle/runtime-config.ts";
import { capabilityNames } from "../../src/linux/capabilities.ts";
import { compileContainer } from "../../src/plan/compile/container.ts";
import { compileExec } from "../../src/plan/compile/exec.ts";
import type { ContainerRequest, EngineMode, ExecMode, OciMode } from "../../src/plan/compile/request.ts";
import { compileFilter, withFilter } from "../../src/plan/compile/seccomp.ts";
import type { HostFacts } from "../../src/plan/host-facts.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { runtimeConfig } from "../../src/spec/runtime-config.ts";
import { criuCases } from "./criu-cases.ts";
import { hybridHost, limitedHost, plainHost, unprivilegedHost, v1Host, v2Host } from "./hosts.ts";
import { runtimeCases } from "./runtime-cases.ts";

type Json = Readonly<Record<string, unknown>>;

type Warn = (message: string, pointer: string) => void;

export interface GoldenCase {
  readonly name: string;
  compile(warn: Warn): Plan;
}

function containerCase(name: string, request: Omit<ContainerRequest, "filter">): GoldenCase {
  return { name, compile: (warn) => compileContainer(withFilter({ ...request, warn })) };
}

const id = "c0ffee";

/** An OCI start in the foreground: the mode with the fewest steps of its own. */
const foreground: OciMode = {
  kind: "oci",
  state: "/run/oci/c0ffee",
  awaitStart: false,
  foreground: true,
  noNewKeyring: true,
};

const engine: EngineMode = {
  kind: "engine",
  root: { kind: "overlay", lower: ["/layers/2", "/layers/1"], upper: "/snap/upper", work: "/snap/work" },
  stdin: false,
  state: "/run/gantry/containers/c0ffee",
  log: { format: "json", path: "/var/lib/gantry/containers/c0ffee/log.json", limitBytes: 0, files: 1 },
  stopSignal: 15,
  network: false,
};

const privateMount = [{ type: "mount" }];

function merge(base: Json, patch: Json): Json {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch))
    result[key] =
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? merge((result[key] ?? {}) as Json, value as Json)
        : value;
  return result;
}

function golden(
  name: string,
  patch: Json,
  facts: HostFacts = plainHost,
  mode: EngineMode | OciMode = foreground,
): GoldenCase {
  const base = {
    ociVersion: "1.3.0",
    root: { path: "rootfs" },
    process: { cwd: "/", args: ["true"], env: ["PATH=/bin"] },
    linux: { namespaces: privateMount },
  };
  const config = runtimeConfig(merge(base, patch), "");
  return containerCase(name, { id, config, bundle: "/bundle", facts, mode });
}

const exec: ExecMode = {
  kind: "exec",
  init: { pid: 42, start: 1234567 },
  cgroups: [],
  foreground: true,
};

function execCase(name: string, patch: Json, facts: HostFacts, mode: Partial<ExecMode>): GoldenCase {
  const config = runtimeConfig(
    merge(
      {
        ociVersion: "1.3.0",
        process: { cwd: "/", args: ["true"], env: ["PATH=/bin"] },
        linux: { namespaces: [...privateMount, { type: "pid" }] },
      },
      patch,
    ),
    "",
  );
  const request = { id, config, bundle: "/bundle", facts, mode: { ...exec, ...mode } };
  return { name, compile: (warn) => compileExec({ ...request, warn, filter: compileFilter(request) }) };
}

const host: BundleHost = {
  architecture: "x64",
  kernel: [6, 12],
  capabilities: capabilityNames,
  hostname: "host",
  swapLimit: true,
};

/** What `gantry run` starts with these options. */
function engineCase(
  name: string,
  options: ContainerOptions,
  facts: HostFacts,
  mode: EngineMode = engine,
): GoldenCase {
  const user = { uid: 0, gid: 0, additionalGids: [0] };
  const { config } = buildRuntimeConfig({ id, image: { Cmd: ["sh"] }, options, user, host });
  return containerCase(name, { id, config, bundle: "/bundle", facts, mode });
}

const ns = (...types: readonly string[]) => ({
  linux: { namespaces: [...privateMount, ...types.map((type) => ({ type }))] },
});
const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
const hook = (name: string) => [{ path: `/hooks/${name}`, timeout: 5 }];

export const cases: readonly GoldenCase[] = [
  ...criuCases,
  ...runtimeCases,
  golden("minimal", {}),
  engineCase("engine-default", {}, v2Host),
  engineCase("engine-terminal", { terminal: true, user: "7" }, plainHost),
  engineCase("engine-privileged", { privileged: true }, v2Host),
  engineCase(
    "engine-user-namespace",
    { userNamespace: { uidMappings: ids, gidMappings: ids }, network: "host" },
    plainHost,
  ),
  engineCase(
    "engine-held-mounts",
    {
      userNamespace: { uidMappings: ids, gidMappings: ids },
      mounts: [
        {
          ...{ kind: "volume", source: "mem", target: "/mem", path: "/srv/mem", readOnly: true },
          mounted: { type: "tmpfs", device: "tmpfs", options: ["size=1m"] },
        },
      ],
    },
    plainHost,
    { ...engine, sources: new Map([["/mem", { held: { number: 600 } }]]) },
  ),
  engineCase(
    "engine-limits",
    { memoryBytes: 100 << 20, cpus: 2, pidsLimit: 50, network: "host" },
    hybridHost,
  ),
  engineCase("engine-network-stdin", {}, plainHost, {
    ...engine,
    network: true,
    stdin: true,
    onExit: { args: ["/opt/gantry", "internal"], env: [] },
  }),
  golden("oci-create", {}, plainHost, {
    ...foreground,
    foreground: false,
    awaitStart: true,
    pidFile: "/run/pid",
    preserveFds: 2,
    noPivot: true,
    noNewKeyring: false,
  }),
  golden(
    "oci-terminal-detached",
    { process: { terminal: true, consoleSize: { height: 24, width: 80 }, user: { uid: 1000, gid: 1000 } } },
    plainHost,
    { ...foreground, foreground: false, consoleSocket: "/run/console.sock", pidfdSocket: "/run/pidfd.sock" },
  ),
  golden("oci-terminal-foreground", { process: { terminal: true } }, plainHost, {
    ...foreground,
    foregroundConsole: 2,
  }),
  golden("oci-notify", {}, plainHost, {
    ...foreground,
    preserveFds: 1,
    listens: true,
    keep: true,
    notify: { directory: "/run/oci/c0ffee/notify", manager: "/run/systemd/notify", mainPid: 77 },
  }),
  golden("oci-notify-detached", {}, plainHost, {
    ...foreground,
    foreground: false,
    notify: { directory: "/run/oci/c0ffee/notify", manager: "@/org/manager" },
  }),
  golden(
    "cgroups-v2",
    merge(ns("cgroup"), {
      mounts: [{ destination: "/sys/fs/cgroup", type: "cgroup", options: ["ro", "nosuid"] }],
      linux: { cgroupsPath: "pod/c", resources: { memory: { limit: 64 << 20 }, pids: { limit: 10 } } },
    }),
    v2Host,
  ),
  golden(
    "cgroups-systemd-scope",
    merge(ns("pid", "cgroup"), {
      mounts: [{ destination: "/sys/fs/cgroup", type: "cgroup", options: ["ro"] }],
      linux: { cgroupsPath: "machine.slice:pod:c", resources: { memory: { limit: 64 << 20 } } },
    }),
    v2Host,
    {
      ...foreground,
      cgroups: { kind: "unit", path: "/machine.slice/pod-c.scope", moveChild: false },
    },
  ),
  golden(
    "cgroups-systemd-slice",
    merge(ns("pid"), { linux: { cgroupsPath: "a.slice::a-b.slice" } }),
    v2Host,
    { ...foreground, cgroups: { kind: "unit", path: "/a.slice/a-b.slice", moveChild: true } },
  ),
  golden(
    "cgroups-disabled",
    merge(ns("pid"), { linux: { resources: { memory: { limit: 64 << 20 } } } }),
    v2Host,
    { ...foreground, cgroups: { kind: "none" } },
  ),
  golden(
    "cgroups-v1",
    merge(ns("cgroup"), {
      mounts: [{ destination: "/sys/fs/cgroup", type: "cgroup", options: ["ro", "nosuid"] }],
      linux: { cgroupsPath: "pod/c", resources: { memory: { limit: 64 << 20 } } },
    }),
    v1Host,
  ),
  golden(
    "cgroups-hybrid",
    {
      linux: {
        cgroupsPath: "/pod/c",
        resources: {
          devices: [{ allow: true, type: "c", major: 10, minor: 229, access: "rw" }],
          hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
        },
      },
    },
    hybridHost,
  ),
  golden(
    "cgroups-hybrid-raw",
    { linux: { cgroupsPath: "/pod/c", resources: { unified: { "hugetlb.2MB.max": "0" } } } },
    hybridHost,
  ),
  golden(
    "cgroups-v2-delegated",
    merge(ns("cgroup", "user"), {
      process: { user: { uid: 5, gid: 0 } },
      mounts: [{ destination: "/sys/fs/cgroup", type: "cgroup" }],
      linux: {
        cgroupsPath: "/pod/c",
        uidMappings: ids,
        gidMappings: ids,
        resources: {
          cpu: { quota: 5000, period: 10000, burst: 1000 },
          memory: { limit: 1 << 20, swap: 3 << 20 },
        },
      },
    }),
    v2Host,
  ),
  golden(
    "cgroups-without-namespace",
    { mounts: [{ destination: "/sys/fs/cgroup", type: "cgroup", options: ["ro"] }] },
    v1Host,
  ),
  golden(
    "user-namespace",
    merge(ns("user", "pid", "network", "uts"), {
      hostname: "inside",
      mounts: [{ destination: "/sys", type: "sysfs", options: ["ro"] }],
      linux: { uidMappings: ids, gidMappings: ids },
    }),
  ),
  golden(
    "user-namespace-idmapped-bind",
    merge(ns("user"), {
      mounts: [{ destination: "/data", source: "/srv/data", type: "bind", options: ["rbind", "idmap"] }],
      linux: { uidMappings: ids, gidMappings: ids },
    }),
  ),
  golden(
    "user-namespace-unprivileged",
    merge(ns("user"), {
      mounts: [{ destination: "/data", source: "/srv/data", options: ["bind", "ro"] }],
      linux: {
        uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
      },
    }),
    unprivilegedHost,
  ),
  golden("namespaces-joined", {
    linux: {
      namespaces: [
        ...privateMount,
        { type: "network", path: "/run/netns/a" },
        { type: "pid", path: "/proc/7/ns/pid" },
        { type: "uts" },
      ],
    },
  }),
  golden("namespaces-user-joined", {
    linux: {
      namespaces: [
        ...privateMount,
        { type: "user", path: "/proc/7/ns/user" },
        { type: "network", path: "/proc/7/ns/net" },
        { type: "pid" },
      ],
    },
  }),
  golden(
    "time-offsets",
    merge(ns("time", "pid"), {
      linux: { timeOffsets: { boottime: { secs: 60 }, monotonic: { secs: -5, nanosecs: 9 } } },
    }),
  ),
  golden("bind-options", {
    mounts: [
      { destination: "/a", source: "a", options: ["bind", "ro", "nosuid", "exec"] },
      { destination: "/b", source: "/b", options: ["rbind", "rro", "rprivate"] },
      { destination: "/c", source: "/c", options: ["rbind", "rshared", "strictatime"] },
    ],
  }),
  golden("tmpfs-options", {
    mounts: [
      { destination: "/t", type: "tmpfs", source: "tmpfs", options: ["size=1m,mode=700", "noexec", "sync"] },
      { destination: "/u", type: "tmpfs", options: ["tmpcopyup", "ro"] },
    ],
  }),
  golden("paths-and-readonly-root", {
    root: { readonly: true },
    linux: { maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"], rootfsPropagation: "slave" },
  }),
  golden("devices", {
    linux: {
      devices: [
        { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o660, gid: 5 },
        { path: "/run/pipe", type: "p" },
      ],
    },
  }),
  golden("devices-of-the-host", { mounts: [{ destination: "/dev", source: "/dev", options: ["rbind"] }] }),
  golden(
    "sysctl",
    merge(ns("network", "ipc"), {
      linux: {
        sysctl: { "net.ipv4.ip_forward": "1", "kernel.shmmax": "7", "net/ipv4/conf/eth0.1/forwarding": "0" },
      },
    }),
  ),
  golden("identity", {
    process: {
      user: { uid: 1000, gid: 1001, additionalGids: [10, 20], umask: 0o77 },
      cwd: "/srv",
      env: ["HOME=/x", "A=1", "A=2"],
      capabilities: {
        bounding: ["CAP_CHOWN", "CAP_KILL"],
        permitted: ["CAP_KILL"],
        effective: ["CAP_KILL"],
        inheritable: ["CAP_KILL"],
        ambient: ["CAP_KILL"],
      },
    },
  }),
  golden(
    "limits-and-scheduling",
    {
      process: {
        rlimits: [
          { type: "RLIMIT_NOFILE", soft: 10, hard: 20 },
          { type: "RLIMIT_CORE", soft: 0, hard: 9007199254740991 },
        ],
        oomScoreAdj: 500,
        scheduler: { policy: "SCHED_BATCH", nice: -5, flags: ["SCHED_FLAG_RESET_ON_FORK"] },
        ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
      },
      linux: { personality: { domain: "LINUX32" } },
    },
    limitedHost,
  ),
  golden("seccomp-with-privileges", {
    linux: {
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }],
      },
    },
  }),
  golden("seccomp-without-privileges", {
    process: { noNewPrivileges: true },
    linux: {
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }],
      },
    },
  }),
  golden("seccomp-listener", {
    annotations: { "org.example": "@PID@" },
    linux: {
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG"],
        listenerPath: "/run/agent.sock",
        listenerMetadata: "for the agent",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
      },
    },
  }),
  golden(
    "seccomp-listener-unprivileged-create",
    merge(ns("user"), {
      process: { noNewPrivileges: true },
      linux: {
        uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        seccomp: {
          defaultAction: "SCMP_ACT_ALLOW",
          listenerPath: "agent.sock",
          syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
        },
      },
    }),
    unprivilegedHost,
    { ...foreground, foreground: false, awaitStart: true },
  ),
  golden(
    "net-devices",
    merge(ns("network"), { linux: { netDevices: { eth7: { name: "in%d" }, eth8: {} } } }),
  ),
  golden("net-devices-joined", {
    linux: {
      namespaces: [...privateMount, { type: "network", path: "/run/netns/a" }],
      netDevices: { eth7: {} },
    },
  }),
  golden(
    "intel-rdt",
    {
      linux: {
        intelRdt: { l3CacheSchema: "L3:0=ff", memBwSchema: "MB:0=20", enableMonitoring: true },
      },
    },
    { ...plainHost, resctrl: "/sys/fs/resctrl" },
  ),
  golden("hooks", {
    hooks: {
      prestart: hook("pre"),
      createRuntime: hook("create"),
      createContainer: hook("container"),
      startContainer: hook("start"),
      poststart: hook("post"),
      poststop: hook("stop"),
    },
  }),
  golden(
    "labels",
    {
      process: { apparmorProfile: "mine", selinuxLabel: "a:b:c:s0" },
      mounts: [{ destination: "/t", type: "tmpfs" }],
      linux: { mountLabel: "x:y:z:s0" },
    },
    { ...plainHost, securityModules: ["apparmor", "selinux"] },
  ),
  execCase("exec-foreground", {}, hybridHost, {
    cgroups: [
      { version: 1, mount: "/sys/fs/cgroup/memory", path: "/c0ffee", controllers: ["memory"] },
      { version: 1, mount: "/sys/fs/cgroup/pids", path: "/c0ffee", controllers: ["pids"] },
      { version: 1, mount: "/sys/fs/cgroup/cpu", path: "/c0ffee", controllers: ["cpu"] },
      { version: 2, mount: "/sys/fs/cgroup/unified", path: "/c0ffee" },
    ],
    // init has moved itself in two of them, and in one to where nobody sees it
    initCgroups: "3:cpu:/../away\n2:pids:/c0ffee/init\n1:memory:/c0ffee\n0::/c0ffee/init.scope\n",
  }),
  execCase("exec-shim", { process: { user: { uid: 7, gid: 8 } } }, plainHost, {
    foreground: false,
    shim: {
      state: "/run/gantry/containers/c0ffee/execs/e1",
      detached: false,
      stdin: true,
      record: { args: ["@PID@"] },
    },
  }),
  execCase(
    "exec-shim-terminal",
    { process: { terminal: true, consoleSize: { height: 5, width: 9 } } },
    plainHost,
    {
      foreground: false,
      shim: { state: "/run/gantry/containers/c0ffee/execs/e1", detached: true, stdin: false, record: {} },
    },
  ),
  execCase("exec-terminal", { process: { terminal: true } }, v2Host, {
    cgroups: [{ version: 2, mount: "/sys/fs/cgroup", path: "/pod/c" }],
    initCgroups: "0::/pod/c\n",
    foregroundConsole: 3,
  }),
  execCase(
    "exec-terminal-detached",
    { process: { terminal: true, consoleSize: { height: 24, width: 80 }, user: { uid: 1000, gid: 1000 } } },
    v2Host,
    {
      cgroups: [{ version: 2, mount: "/sys/fs/cgroup", path: "/pod/c" }],
      initCgroups: "0::/pod/c\n",
      foreground: false,
      consoleSocket: "/run/console.sock",
    },
  ),
  execCase(
    "exec-detached",
    {
      process: {
        user: { uid: 1000, gid: 1000, additionalGids: [5] },
        noNewPrivileges: true,
        oomScoreAdj: 500,
        apparmorProfile: "mine",
        execCPUAffinity: { initial: "0", final: "1-2,65" },
        rlimits: [{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }],
        capabilities: { bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"] },
      },
      linux: {
        seccomp: {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }],
        },
      },
    },
    { ...v2Host, securityModules: ["apparmor"] },
    {
      cgroups: [{ version: 2, mount: "/sys/fs/cgroup", path: "/pod/c" }],
      initCgroups: "0::/pod/c\n",
      foreground: false,
      pidFile: "/run/pid",
      pidfdSocket: "/run/pidfd.sock",
      preserveFds: 2,
      noNewKeyring: true,
    },
  ),
  golden(
    "namespaces-of-containers",
    {
      linux: {
        namespaces: [
          { type: "mount" },
          { type: "ipc", path: "container:giver" },
          { type: "pid", path: "pod:web" },
          { type: "network", path: "/run/gantry/pods/web/ns/net" },
        ],
      },
      mounts: [
        { destination: "/dev/shm", type: "bind", source: "container:giver", options: ["rbind", "rprivate"] },
      ],
    },
    plainHost,
    {
      ...engine,
      donors: new Map([
        ["container:giver", { pid: 4242, start: 99 }],
        ["pod:web", { pid: 17, start: 7 }],
      ]),
    },
  ),
  execCase(
    "exec-user-namespace",
    {
      linux: {
        namespaces: ["mount", "pid", "user", "network", "uts", "ipc", "cgroup", "time"].map((type) => ({
          type,
        })),
        uidMappings: ids,
        gidMappings: ids,
        seccomp: {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }],
        },
      },
    },
    plainHost,
    {},
  ),
];
