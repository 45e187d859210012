/** Machines for golden plans: facts written down, so that a plan is the same wherever it is compiled. */
import { cgroupLayout } from "../../src/linux/cgroup-mounts.ts";
import { parseMountinfo } from "../../src/linux/mountinfo.ts";
import type { HostFacts } from "../../src/plan/host-facts.ts";

const unlimited = (1n << 64n) - 1n;
const allCapabilities = (1n << 41n) - 1n;

function layout(mounts: readonly string[], own: string) {
  const text = mounts.map((mount, index) => `${30 + index} 20 0:${30 + index} / ${mount}`).join("\n");
  return cgroupLayout(parseMountinfo(text), own);
}

const none = layout([], "");

/** A kernel with everything and no cgroups: for what has nothing to do with them. */
export const plainHost: HostFacts = {
  kernel: { release: "6.18.0", major: 6, minor: 18 },
  architecture: "x64",
  uid: 0,
  gid: 0,
  capabilities: allCapabilities,
  inUserNamespace: false,
  setgroupsDenied: false,
  mayWriteBelow: () => true,
  programPath: (name) => `/usr/bin/${name}`,
  lastCapability: 40,
  rlimits: { RLIMIT_NOFILE: { soft: 1024n, hard: 4096n }, RLIMIT_CORE: { soft: 0n, hard: unlimited } },
  cgroups: none,
  unifiedControllers: [],
  delegatedCgroupFiles: ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"],
  securityModules: [],
};

export const v2Host: HostFacts = {
  ...plainHost,
  cgroups: layout(["/sys/fs/cgroup rw - cgroup2 cgroup2 rw"], "0::/user/shell\n"),
  unifiedControllers: ["cpu", "memory", "pids"],
};

export const v1Host: HostFacts = {
  ...plainHost,
  cgroups: layout(
    [
      "/sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
      "/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
      "/sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
    ],
    "3:name=systemd:/\n2:memory:/jobs/7\n1:cpu,cpuacct:/\n",
  ),
};

export const hybridHost: HostFacts = {
  ...plainHost,
  cgroups: layout(
    [
      "/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
      "/sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
      "/sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
      "/sys/fs/cgroup/devices rw - cgroup cgroup rw,devices",
      "/sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    ],
    "4:pids:/\n3:cpu:/\n2:devices:/\n1:memory:/\n0::/\n",
  ),
  unifiedControllers: ["hugetlb"],
};

/** Root inside somebody's container: no CAP_SYS_RESOURCE. */
export const limitedHost: HostFacts = { ...plainHost, capabilities: allCapabilities & ~(1n << 24n) };

export const unprivilegedHost: HostFacts = { ...plainHost, uid: 1000, gid: 1000, capabilities: 0n };
