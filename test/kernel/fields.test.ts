/** Members of the config one by one, beyond what container.test.ts has: process, namespaces, devices, seccomp. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nativeSeccompArch, syscallTable } from "../../src/linux/seccomp/architectures.ts";
import { seccompArchitectures } from "../../src/spec/runtime-seccomp.ts";
import { needs } from "../lib/needs.ts";
import type { Json } from "./bundle.ts";
import { type Case, testCases } from "./case.ts";

const ns = (...types: readonly string[]) => types.map((type) => ({ type }));
const all = ["pid", "network", "ipc", "uts", "mount"] as const;
const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
const inUser = { namespaces: ns(...all, "user"), uidMappings: ids, gidMappings: ids };
const proc = { destination: "/proc", type: "proc", source: "proc" };
const dev = { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] };
const realTime = existsSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us");
const numa = existsSync("/proc/self/numa_maps");
const old = "Debian's runc and crun do not know it";

const processCases: readonly Case[] = [
  {
    name: "a capability that nobody knows is left out, and the rest counts",
    script: "grep CapBnd /proc/self/status",
    patch: { process: { capabilities: { bounding: ["CAP_OF_TOMORROW", "CAP_KILL"] } } },
    stdout: /CapBnd:\s0{14}20$/,
  },
  {
    name: "the scheduler has its policy and niceness",
    script: "cut -d' ' -f19,41 /proc/self/stat",
    patch: { process: { scheduler: { policy: "SCHED_BATCH", nice: 5 } } },
    withoutReference: old,
    stdout: "5 3",
  },
  ...[
    ["SCHED_OTHER", {}, "0 0"],
    ["SCHED_IDLE", {}, "0 5"],
    ["SCHED_FIFO", { priority: 7 }, "7 1"],
    ["SCHED_RR", { priority: 9 }, "9 2"],
  ].map(
    ([policy, more, stdout]): Case => ({
      name: `the scheduling policy ${policy as string} is the kernel's`,
      script: "cut -d' ' -f40,41 /proc/self/stat",
      // with CONFIG_RT_GROUP_SCHED the cgroup needs real time of its own
      patch: {
        process: { scheduler: { policy, ...(more as object) } },
        ...(realTime
          ? { linux: { resources: { cpu: { realtimePeriod: 1_000_000, realtimeRuntime: 10_000 } } } }
          : {}),
      },
      withoutReference: old,
      stdout: stdout as string,
    }),
  ),
  {
    name: "a deadline scheduler has its three times, and children get the usual policy",
    script: "cut -d' ' -f41 /proc/self/stat; cut -d' ' -f41 /proc/$$/stat",
    patch: {
      process: {
        scheduler: {
          policy: "SCHED_DEADLINE",
          runtime: 1_000_000,
          deadline: 20_000_000,
          period: 20_000_000,
          flags: ["SCHED_FLAG_RESET_ON_FORK"],
        },
      },
    },
    withoutReference: old,
    stdout: "0\n6",
  },
  {
    name: "a deadline scheduler whose runtime is above its deadline is refused",
    script: "echo ran",
    patch: {
      process: { scheduler: { policy: "SCHED_DEADLINE", runtime: 20, deadline: 10, period: 10 } },
    },
    withoutReference: old,
    code: 1,
    stdout: "",
    stderr: /error setting scheduler/,
  },
  ...[
    ["IOPRIO_CLASS_RT", 3, "realtime: prio 3"],
    ["IOPRIO_CLASS_BE", 6, "best-effort: prio 6"],
    ["IOPRIO_CLASS_IDLE", 0, "idle"],
  ].map(
    ([kind, priority, stdout]): Case => ({
      name: `the IO priority ${kind as string} is the kernel's`,
      script: "busybox ionice -p $$",
      patch: { process: { ioPriority: { class: kind, priority } } },
      withoutReference: old,
      stdout: new RegExp(`^${stdout as string}`),
    }),
  ),
  {
    name: "what is in no environment is found in no environment: no PATH, no program by name",
    script: "true",
    patch: { process: { args: ["true"], env: [] } },
    code: 1,
    stdout: "",
    stderr: /executable file not found in \$PATH/,
  },
  {
    name: "an argument may be empty, long and hold anything but NUL",
    script: "",
    patch: {
      process: {
        args: ["sh", "-c", 'printf "%s|" "$@" | wc -c', "sh", "", "a\nb", "ü", "x".repeat(100_000)],
      },
    },
    stdout: String(1 + 4 + 3 + 100_001),
  },
  {
    name: "a working directory that is a file is an error",
    script: "echo ran",
    patch: { process: { cwd: "/etc/passwd" } },
    code: 1,
    stdout: "",
    stderr: /[Nn]ot a directory/,
  },
  {
    name: "a user that the user namespace does not map is refused",
    script: "echo ran",
    patch: {
      process: { user: { uid: 70_000 } },
      linux: inUser,
    },
    code: 1,
    stdout: "",
  },
  ...[
    ["LINUX", /^x86_64$|^aarch64$/],
    ["LINUX32", /^i686$|^armv8l$/],
  ].map(
    ([domain, stdout]): Case => ({
      name: `the personality ${domain as string} shows in uname`,
      script: "busybox uname -m",
      patch: { linux: { personality: { domain } } },
      withoutReference: "runc 1.1.5 does not know it",
      stdout: stdout as RegExp,
    }),
  ),
  ...["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN"].map(
    (flag): Case => ({
      name: `the scheduling flag ${flag} is taken by the kernel`,
      script: "",
      patch: {
        process: {
          args: ["busybox", "cut", "-d ", "-f41", "/proc/self/stat"],
          scheduler: {
            ...{ policy: "SCHED_DEADLINE", runtime: 1_000_000, deadline: 20_000_000, period: 20_000_000 },
            flags: [flag],
          },
        },
      },
      withoutReference: old,
      stdout: "6",
    }),
  ),
  ...(
    [
      ["MPOL_DEFAULT", "", "default"],
      ["MPOL_BIND", "0", "bind:0"],
      ["MPOL_INTERLEAVE", "0", "interleave:0"],
      ["MPOL_WEIGHTED_INTERLEAVE", "0", "weighted interleave:0"],
      ["MPOL_PREFERRED", "0", "prefer:0"],
      ["MPOL_PREFERRED_MANY", "0", "prefer (many):0"],
      ["MPOL_LOCAL", "", "local"],
    ] as const
  ).map(
    ([mode, nodes, shown]): Case => ({
      name: `the memory policy ${mode} is the kernel's`,
      script: numa ? "head -1 /proc/self/numa_maps" : "echo ran",
      patch: { linux: { memoryPolicy: { mode, nodes } } },
      withoutReference: old,
      skip: mode === "MPOL_WEIGHTED_INTERLEAVE" && needs("linux 6.9"),
      stdout: numa ? new RegExp(`^[0-9a-f]+ ${shown.replace(/[()]/g, "\\$&")} `) : "ran",
    }),
  ),
  ...(
    [
      ["MPOL_F_STATIC_NODES", "MPOL_BIND", "bind=static:0"],
      ["MPOL_F_RELATIVE_NODES", "MPOL_INTERLEAVE", "interleave=relative:0"],
      ["MPOL_F_NUMA_BALANCING", "MPOL_BIND", "bind(=balancing)?:0"],
    ] as const
  ).map(
    ([flag, mode, shown]): Case => ({
      name: `the memory policy flag ${flag} is taken by the kernel`,
      script: numa ? "head -1 /proc/self/numa_maps" : "echo ran",
      patch: { linux: { memoryPolicy: { mode, nodes: "0", flags: [flag] } } },
      withoutReference: old,
      stdout: numa ? new RegExp(`^[0-9a-f]+ ${shown} `) : "ran",
    }),
  ),
  {
    name: "a memory policy of nodes that are not there is an error",
    script: "echo ran",
    patch: { linux: { memoryPolicy: { mode: "MPOL_BIND", nodes: "900-901" } } },
    withoutReference: old,
    code: 1,
    stdout: "",
    stderr: /failed to set memory policy/,
  },
  {
    name: "the domain name is the container's",
    script: "cat /proc/sys/kernel/domainname",
    patch: { domainname: "example.org" },
    reference: "crun",
    stdout: "example.org",
  },
];

const namespaceCases: readonly Case[] = [
  {
    name: "both clocks of a time namespace have their offsets",
    script: "cat /proc/self/timens_offsets | tr -s ' '",
    patch: {
      linux: {
        namespaces: ns(...all, "time"),
        timeOffsets: { boottime: { secs: 100, nanosecs: 5 }, monotonic: { secs: 200, nanosecs: 7 } },
      },
    },
    withoutReference: "runc 1.1.5 does not know it, and crun 1.8.1 enters it only later",
    stdout: "monotonic 200 7\nboottime 100 5",
  },
  {
    name: "clocks have no offset without a time namespace",
    script: "echo ran",
    patch: { linux: { timeOffsets: { boottime: { secs: 1 } } } },
    withoutReference: "runc 1.1.5 does not know it",
    code: 1,
    stdout: "",
    stderr: /time offsets need a new time namespace/,
  },
  {
    name: "a mapping without a user namespace is refused",
    script: "echo ran",
    patch: { linux: { uidMappings: ids, gidMappings: ids } },
    withoutReference: "runc 1.1.5 passes over it",
    code: 1,
    stdout: "",
    stderr: /user mappings without a user namespace/,
  },
  {
    name: "several mappings stand in the order of the config",
    script: "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '",
    patch: {
      linux: {
        ...inUser,
        uidMappings: [
          { containerID: 0, hostID: 100000, size: 10 },
          { containerID: 10, hostID: 200000, size: 5 },
        ],
      },
    },
    stdout: " 0 100000 10\n 10 200000 5\n 0 100000 65536",
  },
  {
    name: "a wrong kind of namespace behind a path is refused",
    script: "echo ran",
    patch: {
      linux: {
        namespaces: [...ns("mount", "pid", "ipc", "uts"), { type: "network", path: "/proc/1/ns/pid" }],
      },
    },
    code: 1,
    stdout: "",
  },
  {
    name: "a path that is no namespace is refused",
    script: "echo ran",
    patch: {
      linux: { namespaces: [...ns("mount", "pid", "ipc", "uts"), { type: "network", path: "/etc/passwd" }] },
    },
    code: 1,
    stdout: "",
  },
  {
    name: "a path that is not there is refused",
    script: "echo ran",
    patch: {
      linux: { namespaces: [...ns("mount", "pid", "ipc", "uts"), { type: "network", path: "/no/such" }] },
    },
    code: 1,
    stdout: "",
    stderr: /no such file or directory/,
  },
];

const deviceCases: readonly Case[] = [
  {
    name: "devices may be block devices, unbuffered ones and fifos, with mode and owner",
    script: "stat -c '%F %t:%T %a %u:%g' /dev/b /dev/u /run/p",
    patch: {
      linux: {
        devices: [
          { path: "/dev/b", type: "b", major: 7, minor: 99, fileMode: 0o600, uid: 1, gid: 2 },
          { path: "/dev/u", type: "u", major: 10, minor: 229, fileMode: 0o644 },
          { path: "/run/p", type: "p", fileMode: 0o622, uid: 3, gid: 4 },
        ],
      },
    },
    stdout: "block special file 7:63 600 1:2\ncharacter special file a:e5 644 0:0\nfifo 0:0 622 3:4",
  },
  {
    name: "a device in a user namespace is the host's, which is bound",
    script:
      "stat -c '%F %t:%T' /dev/kmsg; echo x > /dev/null && echo null; grep -c ' /dev/kmsg ' /proc/self/mountinfo",
    patch: {
      linux: { ...inUser, devices: [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11 }] },
    },
    stdout: "character special file 1:b\nnull\n1",
  },
  {
    name: "a device without numbers is refused",
    script: "echo ran",
    patch: { linux: { devices: [{ path: "/dev/x", type: "c" }] } },
    withoutReference: "runc 1.1.5 takes it for 0:0",
    code: 1,
    stdout: "",
    stderr: /\/linux\/devices\/0: \/dev\/x needs a major and a minor number/,
  },
  {
    name: "another file at the place of a device is an error",
    script: "echo ran",
    patch: (files) => {
      writeFileSync(join(files, "zero"), "");
      return {
        mounts: [
          proc,
          dev,
          { destination: "/dev/zero", type: "bind", source: join(files, "zero"), options: ["bind"] },
        ],
      };
    },
    withoutReference: "runc 1.1.5 leaves it as it is",
    code: 1,
    stdout: "",
    stderr: /error creating device nodes: \/dev\/zero/,
  },
];

const propagation = `busybox awk '$5 == "/" {for (i = 7; $i != "-"; i++) print $i}' /proc/self/mountinfo | tr -d 0-9`;
const rootCases: readonly Case[] = [
  ...(
    [
      ["private", ""],
      ["rprivate", ""],
      ["shared", "shared:"],
      ["rshared", "shared:"],
      ["unbindable", "unbindable"],
      ["runbindable", "unbindable"],
    ] as const
  ).map(
    ([name, stdout]): Case => ({
      name: `rootfsPropagation ${name} is that of the root`,
      script: propagation,
      patch: { linux: { rootfsPropagation: name } },
      stdout,
      ...(stdout === ""
        ? {}
        : { withoutReference: "runc 1.1.5 leaves the root private, or cannot bind anything any more" }),
    }),
  ),
  {
    name: "a root that is not there is an error",
    script: "echo ran",
    patch: { root: { path: "nowhere" } },
    code: 1,
    stdout: "",
    stderr: /no such file or directory/,
  },
];

const policy = (seccomp: Json): Json => ({
  linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"], ...seccomp } },
});
const onMkdir = (action: string, more: Json = {}) =>
  policy({ syscalls: [{ names: ["mkdir", "mkdirat"], action, ...more }] });

/** All calls of this machine but some. */
function namesBut(...left: readonly string[]): readonly string[] {
  return syscallTable(nativeSeccompArch(process.arch)!).names.filter((name) => !left.includes(name));
}

const seccompCases: readonly Case[] = [
  ...(
    [
      ["SCMP_ACT_KILL", /^Bad system call[^\n]*\n159$|^159$/],
      ["SCMP_ACT_KILL_THREAD", /159$/],
      ["SCMP_ACT_KILL_PROCESS", /159$/],
      ["SCMP_ACT_TRAP", /159$/],
      ["SCMP_ACT_ERRNO", /not permitted\n1$/],
      ["SCMP_ACT_TRACE", /not implemented\n1$/],
      ["SCMP_ACT_ALLOW", /^0$/],
      ["SCMP_ACT_LOG", /^0$/],
    ] as const
  ).map(
    ([action, stdout]): Case => ({
      name: `the seccomp action ${action} does to a call what it says`,
      script: "(mkdir /tmp/x) 2>&1; echo $?",
      patch: onMkdir(action),
      stdout,
    }),
  ),
  ...(
    [
      ["SCMP_CMP_NE", "23"],
      ["SCMP_CMP_LT", "23 28"],
      ["SCMP_CMP_LE", "28"],
      ["SCMP_CMP_EQ", "18 28"],
      ["SCMP_CMP_GE", "18"],
      ["SCMP_CMP_GT", "18 23"],
      ["SCMP_CMP_MASKED_EQ", "18 23"],
    ] as const
  ).map(([op, allowed]): Case => {
    const masked = op === "SCMP_CMP_MASKED_EQ";
    return {
      name: `the seccomp operator ${op} compares an argument`,
      // CONT, URG and WINCH do nothing to a shell
      script: "for s in 18 23 28; do kill -$s $$ 2>/dev/null && printf '%s ' $s; done; true",
      patch: policy({
        syscalls: [
          {
            names: ["kill"],
            action: "SCMP_ACT_ERRNO",
            args: [{ index: 1, value: masked ? 8 : 23, ...(masked ? { valueTwo: 8 } : {}), op }],
          },
        ],
      }),
      stdout: allowed,
    };
  }),
  {
    name: "several arguments of a rule must all hold",
    script:
      "for s in 18 23; do kill -$s $$ 2>/dev/null && printf '%s ' $s; done; kill -23 0 2>/dev/null && echo group",
    patch: policy({
      syscalls: [
        {
          names: ["kill"],
          action: "SCMP_ACT_ERRNO",
          args: [
            { index: 0, value: 1, op: "SCMP_CMP_EQ" },
            { index: 1, value: 23, op: "SCMP_CMP_EQ" },
          ],
        },
      ],
    }),
    stdout: "18 group",
  },
  {
    name: "the errno of a rule is the config's",
    script: "(mkdir /tmp/x) 2>&1; true",
    patch: onMkdir("SCMP_ACT_ERRNO", { errnoRet: 95 }),
    stdout: /ot supported$/,
  },
  {
    name: "the default errno is the config's",
    // everything but mkdir, by a rule that holds for any of its arguments
    script: "(mkdir /tmp/x) 2>&1; echo still here",
    patch: policy({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 95,
      syscalls: [{ names: namesBut("mkdir", "mkdirat"), action: "SCMP_ACT_ALLOW" }],
    }),
    stdout: /ot supported\nstill here$/,
  },
  {
    name: "the filter flags TSYNC, LOG and SPEC_ALLOW are taken by the kernel",
    script: "grep Seccomp: /proc/self/status",
    patch: policy({
      flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"],
      syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }],
    }),
    withoutReference: "runc 1.1.5 takes no flags",
    stdout: /Seccomp:\s2/,
  },
  {
    name: "all architectures in one filter are taken by the kernel",
    script: "grep Seccomp: /proc/self/status; (mkdir /tmp/x) 2>&1",
    patch: policy({
      architectures: seccompArchitectures,
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
    }),
    withoutReference: "the libseccomp of Debian 12 does not know four of them",
    stdout: /Seccomp:\s2\n.*not permitted$/,
    code: 1,
  },
  {
    name: "an errno for an action that has none is refused",
    script: "echo ran",
    patch: onMkdir("SCMP_ACT_LOG", { errnoRet: 3 }),
    withoutReference: "runc 1.1.5 passes over it",
    code: 1,
    stdout: "",
    stderr: /errnoRet is not possible with SCMP_ACT_LOG/,
  },
];

testCases([...processCases, ...namespaceCases, ...deviceCases, ...rootCases, ...seccompCases]);
