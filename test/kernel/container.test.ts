import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Json, ownCgroupFile } from "./bundle.ts";
import { type Case, testCases } from "./case.ts";

const ns = (...types: readonly string[]) => types.map((type) => ({ type }));
const all = ["pid", "network", "ipc", "uts", "mount"] as const;

const proc = { destination: "/proc", type: "proc", source: "proc" };
const dev = { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] };
const cgroup = {
  destination: "/sys/fs/cgroup",
  type: "cgroup",
  source: "cgroup",
  options: ["nosuid", "noexec", "nodev", "ro"],
};
const sys = { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] };
const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
const optionsAt = (path: string) => `grep " ${path} " /proc/self/mountinfo | head -1 | cut -d" " -f6`;
const memoryLimit = ownCgroupFile("memory", "memory.limit_in_bytes", "memory.max");
const memoryMount = dirname(memoryLimit);
const pidsMax = ownCgroupFile("pids", "pids.max", "pids.max");
const cpuQuota = ownCgroupFile("cpu", "cpu.cfs_quota_us", "cpu.max");
const filter = (args?: readonly Json[]): Json => ({
  seccomp: {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [
      {
        names: ["mkdir", "mkdirat", "no_such_call"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 95,
        ...(args ? { args } : {}),
      },
    ],
  },
});

const cases: readonly Case[] = [
  { name: "the host name is the container's", script: "hostname", stdout: "testbox" },
  {
    name: "the program is process 1 and sees nobody else",
    script: "echo $$; ls /proc | grep -c '^[0-9]'",
    stdout: /^1\n[1-4]$/,
  },
  { name: "the exit status is the program's", script: "exit 42", code: 42, stdout: "" },
  {
    name: "a signal shows as 128 and its number",
    script: "kill -KILL $$",
    patch: { linux: { namespaces: ns("mount", "uts") } },
    code: 137,
  },
  {
    name: "the network is an interface lo that is up",
    script: "ls /sys/class/net; cat /sys/class/net/lo/flags",
    stdout: "lo\n0x9",
  },
  {
    name: "the default devices work and have their numbers",
    script:
      "echo x > /dev/null; head -c 4 /dev/zero | wc -c; stat -c '%t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; for l in fd stdin ptmx; do readlink /dev/$l; done",
    stdout:
      "4\n1:3 666\n1:5 666\n1:7 666\n1:8 666\n1:9 666\n5:0 666\n/proc/self/fd\n/proc/self/fd/0\npts/ptmx",
  },
  {
    name: "a device of the config is there with mode and owner",
    script: "stat -c '%F %t:%T %a %u:%g' /dev/fuse2",
    patch: {
      linux: {
        devices: [{ path: "/dev/fuse2", type: "c", major: 10, minor: 229, fileMode: 0o640, uid: 7, gid: 8 }],
      },
    },
    stdout: "character special file a:e5 640 7:8",
  },
  {
    name: "a device that no rule allows cannot be opened",
    script: ": < /dev/fuse2",
    patch: {
      linux: { devices: [{ path: "/dev/fuse2", type: "c", major: 10, minor: 229, fileMode: 0o666 }] },
    },
    code: 1,
    stdout: "",
  },
  {
    name: "a device that a rule allows can be opened",
    script: ": < /dev/fuse2 && echo opened",
    patch: {
      linux: {
        devices: [{ path: "/dev/fuse2", type: "c", major: 10, minor: 229, fileMode: 0o666 }],
        resources: {
          devices: [
            { allow: false, access: "rwm" },
            { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
          ],
        },
      },
    },
    stdout: "opened",
  },
  {
    name: "uid, gid and groups are the config's",
    script: "id -u; id -g; id -G; grep Groups /proc/self/status",
    patch: { process: { user: { uid: 1000, gid: 1001, additionalGids: [10, 20] } } },
    stdout: /^1000\n1001\n1001 10 20\nGroups:\s+10 20\s*$/,
  },
  {
    name: "no group of the caller is left",
    script: "grep Groups /proc/self/status",
    stdout: /^Groups:\s*0?\s*$/,
  },
  { name: "the umask is 0022 unless told", script: "umask", stdout: "0022" },
  {
    name: "the umask of the config counts",
    script: "umask",
    patch: { process: { user: { umask: 0o77 } } },
    stdout: "0077",
  },
  {
    name: "the working directory is made if it is missing",
    script: "pwd; stat -c %a /srv/deep",
    patch: { process: { cwd: "/srv/deep" } },
    stdout: "/srv/deep\n755",
  },
  {
    name: "the environment is the config's, with HOME from passwd",
    script: "env | sort",
    patch: { process: { env: ["PATH=/bin", "A=1", "B=two words"] } },
    stdout: /^A=1\nB=two words\nHOME=\/root\nPATH=\/bin\nPWD=\/(\nSHLVL=1)?/,
  },
  {
    name: "HOME is the user's own",
    script: "echo $HOME",
    patch: { process: { user: { uid: 1000, gid: 1000 } } },
    stdout: "/home/web",
  },

  {
    name: "capabilities are exactly those of the config",
    script: "grep Cap /proc/self/status",
    stdout:
      /CapInh:\s0{16}\nCapPrm:\s0{8}20000420\nCapEff:\s0{8}20000420\nCapBnd:\s0{8}20000420\nCapAmb:\s0{16}/,
  },
  {
    name: "ambient capabilities reach a program of another user",
    script: "grep Cap[EA] /proc/self/status",
    patch: {
      process: {
        user: { uid: 1000, gid: 1000 },
        capabilities: {
          bounding: ["CAP_KILL"],
          effective: ["CAP_KILL"],
          permitted: ["CAP_KILL"],
          inheritable: ["CAP_KILL"],
          ambient: ["CAP_KILL"],
        },
      },
    },
    stdout: /CapEff:\s0{14}20\nCapAmb:\s0{14}20/,
  },
  {
    name: "another user has no effective capability",
    script: "grep CapEff /proc/self/status",
    patch: { process: { user: { uid: 1000, gid: 1000 } } },
    stdout: /CapEff:\s0{16}/,
  },
  {
    name: "no capabilities in the config is none at all",
    script: "grep Cap[EB] /proc/self/status",
    patch: { process: { capabilities: null } },
    stdout: /CapEff:\s0{16}\nCapBnd:\s0{16}/,
  },
  {
    name: "no_new_privs is set when asked for",
    script: "grep NoNewPrivs /proc/self/status",
    patch: { process: { noNewPrivileges: true } },
    stdout: /NoNewPrivs:\s1/,
  },
  {
    name: "no_new_privs is not set otherwise, filter or not",
    script: "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status",
    patch: { linux: filter() },
    stdout: /NoNewPrivs:\s0\nSeccomp:\s2/,
  },
  {
    name: "limits are the config's",
    script: "ulimit -Sn; ulimit -Hn; ulimit -c",
    patch: {
      process: {
        rlimits: [
          { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
          { type: "RLIMIT_CORE", soft: 0, hard: 0 },
        ],
      },
    },
    stdout: "100\n200\n0",
  },
  {
    name: "the OOM score is the config's",
    script: "cat /proc/self/oom_score_adj",
    patch: { process: { oomScoreAdj: 321 } },
    stdout: "321",
  },

  {
    name: "a filter answers with its errno",
    script: "mkdir /tmp/x 2>&1",
    patch: { linux: filter() },
    stdout: /Not supported|Operation not supported/,
    code: 1,
  },
  {
    name: "a filter with no_new_privs answers with its errno",
    script: "mkdir /tmp/x 2>&1",
    patch: { process: { noNewPrivileges: true }, linux: filter() },
    stdout: /ot supported/,
    code: 1,
  },
  {
    name: "a filter looks at arguments",
    script: "mkdir -m 700 /tmp/x && echo made; mkdir -m 777 /tmp/y 2>&1",
    patch: { linux: filter([{ index: 1, value: 0o777, op: "SCMP_CMP_EQ" }]) },
    stdout: /ot supported/,
    code: 1,
  },

  {
    name: "a mount has its options",
    script: optionsAt("/m"),
    patch: {
      mounts: [
        proc,
        dev,
        { destination: "/m", type: "tmpfs", source: "tmpfs", options: ["nosuid", "noexec", "ro", "size=1m"] },
      ],
    },
    stdout: "ro,nosuid,noexec,relatime",
  },
  {
    name: "a tmpfs has its size and mode",
    script: "stat -c %a /m; grep ' /m ' /proc/mounts",
    patch: {
      mounts: [
        proc,
        dev,
        { destination: "/m", type: "tmpfs", source: "tmpfs", options: ["size=64k,mode=711"] },
      ],
    },
    stdout: /^711\ntmpfs \/m tmpfs .*size=64k/,
  },
  {
    name: "a tmpfs without a mode looks like what it covers",
    script: "stat -c %a /root /new",
    patch: (_files) => ({
      mounts: [
        proc,
        dev,
        { destination: "/root", type: "tmpfs", source: "tmpfs", options: ["ro"] },
        { destination: "/new", type: "tmpfs", source: "tmpfs" },
      ],
    }),
    stdout: "710\n1777",
  },
  {
    name: "a bind mount shows the host's file, read-only",
    script: "cat /data/f; touch /data/g 2>&1",
    patch: (files) => {
      writeFileSync(join(files, "f"), "from the host\n");
      return { mounts: [proc, dev, { destination: "/data", source: files, options: ["bind", "ro"] }] };
    },
    stdout: /^from the host\n.*Read-only file system/,
    code: 1,
  },
  {
    name: "a file is bound onto a file that is made",
    script: "cat /etc/deep/er/name",
    patch: (files) => {
      writeFileSync(join(files, "f"), "one file\n");
      return {
        mounts: [
          proc,
          dev,
          { destination: "/etc/deep/er/name", source: join(files, "f"), type: "bind", options: ["rbind"] },
        ],
      };
    },
    stdout: "one file",
  },
  {
    name: "mounts are made in their order",
    script: "ls /a",
    patch: {
      mounts: [
        proc,
        dev,
        { destination: "/a", type: "tmpfs", source: "tmpfs" },
        { destination: "/a/inner", type: "tmpfs", source: "tmpfs" },
      ],
    },
    stdout: "inner",
  },
  {
    name: "a link in the root leads a mount nowhere else",
    script: "ls /real",
    patch: (files) => {
      mkdirSync(join(files, "x"));
      writeFileSync(join(files, "x", "hello"), "");
      return {
        mounts: [proc, dev, { destination: "/root/../real", source: join(files, "x"), options: ["bind"] }],
      };
    },
    stdout: "hello",
  },
  {
    name: "what is made on a private mount does not reach the host, nor back",
    script: optionsAt("/data"),
    patch: (files) => ({
      mounts: [
        proc,
        dev,
        { destination: "/data", source: files, options: ["rbind", "rprivate", "nodev", "noatime"] },
      ],
    }),
    stdout: /nodev.*noatime|noatime.*nodev/,
  },
  {
    name: "tmpcopyup begins with what was there",
    script: "cat /etc/passwd | wc -l; touch /etc/new && echo written",
    patch: {
      mounts: [proc, dev, { destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] }],
    },
    stdout: "2\nwritten",
  },

  {
    name: "masked paths are empty, directory or file",
    script: "ls /proc/acpi 2>/dev/null | wc -l; cat /proc/kcore | wc -c; cat /etc/passwd | wc -c",
    patch: { linux: { maskedPaths: ["/proc/acpi", "/proc/kcore", "/etc/passwd", "/not/there"] } },
    stdout: "0\n0\n0",
  },
  {
    name: "read-only paths cannot be written",
    script: "echo 1 > /proc/sys/net/ipv4/ip_forward; touch /etc/x",
    patch: { linux: { readonlyPaths: ["/proc/sys", "/etc", "/not/there"] } },
    code: 1,
    stdout: "",
  },
  {
    name: "a read-only root cannot be written, a mount in it can",
    script: "touch /x 2>&1; touch /m/x && echo ok",
    patch: {
      root: { readonly: true },
      mounts: [proc, dev, { destination: "/m", type: "tmpfs", source: "tmpfs" }],
    },
    stdout: /Read-only file system\nok$/,
  },
  {
    name: "a sysctl of an own namespace is set",
    script: "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax",
    patch: { linux: { sysctl: { "net.ipv4.ip_forward": "1", "kernel.shmmax": "4096" } } },
    stdout: "1\n4096",
  },
  {
    name: "the old root is gone",
    script: "wc -l < /proc/self/mountinfo; ls / | sort | head -3",
    stdout: /^[0-9]\nbin\ndev\netc$/,
  },

  {
    name: "memory is limited",
    script: `cat ${memoryLimit}`,
    patch: {
      mounts: [proc, sys, cgroup, dev],
      linux: { namespaces: ns(...all, "cgroup"), resources: { memory: { limit: 64 << 20 } } },
    },
    stdout: String(64 << 20),
  },
  {
    name: "processes are limited",
    script: `cat ${pidsMax}`,
    patch: {
      mounts: [proc, sys, cgroup, dev],
      linux: { namespaces: ns(...all, "cgroup"), resources: { pids: { limit: 17 } } },
    },
    stdout: "17",
  },
  {
    name: "CPU time is limited",
    script: `cat ${cpuQuota}`,
    patch: {
      mounts: [proc, sys, cgroup, dev],
      linux: { namespaces: ns(...all, "cgroup"), resources: { cpu: { period: 50000, quota: 25000 } } },
    },
    stdout: /^25000/,
  },
  {
    name: "the cgroup mount is read-only and starts at the own cgroup",
    script: `cat /proc/self/cgroup | grep -v ':/$' | wc -l; ${optionsAt(memoryMount)}`,
    patch: { mounts: [proc, sys, cgroup, dev], linux: { namespaces: ns(...all, "cgroup") } },
    stdout: /^0\nro/,
  },
  {
    name: "without a cgroup namespace the own cgroups are bound",
    script: `cat ${memoryLimit}`,
    patch: { mounts: [proc, sys, cgroup, dev], linux: { resources: { memory: { limit: 32 << 20 } } } },
    ...(memoryMount === "/sys/fs/cgroup" ? { withoutReference: "runc shows the whole tree on v2" } : {}),
    stdout: String(32 << 20),
  },

  {
    name: "a user namespace maps root to another user",
    script: "id -u; cat /proc/self/uid_map; cat /proc/self/gid_map; echo x > /dev/null && echo null",
    patch: { linux: { namespaces: ns(...all, "user"), uidMappings: ids, gidMappings: ids } },
    stdout: /^0\n\s+0\s+100000\s+65536\n\s+0\s+100000\s+65536\nnull$/,
  },
  {
    name: "in a user namespace all capabilities can be had",
    script: "grep CapEff /proc/self/status; mount -t tmpfs tmpfs /tmp && echo mounted",
    patch: {
      process: {
        capabilities: {
          bounding: ["CAP_SYS_ADMIN"],
          effective: ["CAP_SYS_ADMIN"],
          permitted: ["CAP_SYS_ADMIN"],
        },
      },
      linux: { namespaces: ns(...all, "user"), uidMappings: ids, gidMappings: ids },
    },
    stdout: /mounted$/,
  },
  {
    name: "a user namespace shares the network of the host with its sysfs",
    script: "ls /sys | grep -c class",
    patch: {
      linux: { namespaces: ns("pid", "ipc", "uts", "mount", "user"), uidMappings: ids, gidMappings: ids },
    },
    withoutReference: "runc 1.1 mounts a sysfs, which is not allowed",
    stdout: "1",
  },
];

testCases(cases);
