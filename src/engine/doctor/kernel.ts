/** What the kernel must do: read where it says so, tried where it does not. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { isGantryError, wrapErrno } from "../../base/error.ts";
import { runPlan } from "../../launch/launch.ts";
import { type NamespaceKind, namespaceKinds, namespaces } from "../../linux/namespaces.ts";
import { probeNamespace, probeOverlay } from "../../plan/compile/probe.ts";
import { kernelAtLeast } from "../../plan/host-facts.ts";
import type { Plan } from "../../plan/plan.ts";
import type { Internals } from "../internals.ts";
import { makePrivateDirectory } from "../store-layout.ts";
import type { Finding } from "./finding.ts";

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    // a kernel without the feature has no such file
    return undefined;
  }
}

/** Why a plan fails; undefined if it does not. */
export async function failureOf(internals: Internals, plan: Plan): Promise<string | undefined> {
  try {
    await runPlan(plan, { executor: internals.executor() });
    return undefined;
  } catch (error) {
    if (!isGantryError(error)) throw error;
    return error.message;
  }
}

export async function examineKernel(internals: Internals): Promise<readonly Finding[]> {
  return [
    version(internals),
    ...(await examineNamespaces(internals)),
    ...fileSystems(),
    await overlay(internals),
    seccomp(),
    ...memoryFiles(),
  ];
}

function version(internals: Internals): Finding {
  const facts = internals.hostFacts();
  const { release } = facts.kernel;
  const common = { area: "kernel", name: "version" } as const;
  if (kernelAtLeast(facts, 5, 12)) return { ...common, status: "ok", detail: `Linux ${release}` };
  return {
    ...common,
    status: "failed",
    detail: `Linux ${release}: 5.12 or later is needed (mount_setattr)`,
    mend: "boot a newer kernel",
  };
}

const configNames: Readonly<Record<NamespaceKind, string>> = {
  ...{ mount: "NAMESPACES", cgroup: "CGROUPS", uts: "UTS_NS", ipc: "IPC_NS", user: "USER_NS" },
  ...{ pid: "PID_NS", network: "NET_NS", time: "TIME_NS" },
};

/** Only some containers ask for these. */
const optional: ReadonlySet<NamespaceKind> = new Set(["user", "time"]);

async function examineNamespaces(internals: Internals): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const working: NamespaceKind[] = [];
  for (const kind of namespaceKinds) {
    const { procName } = namespaces[kind];
    const status = optional.has(kind) ? "warning" : "failed";
    const common = { area: "kernel", name: `${kind} namespaces`, status } as const;
    const limit = `user.max_${procName}_namespaces`;
    if (readIfThere(`/proc/sys/${limit.replace(".", "/")}`) === "0")
      findings.push({ ...common, detail: `${limit} is 0`, mend: `sysctl -w ${limit}=15000` });
    else if (statfsOf(`/proc/self/ns/${procName}`) === undefined)
      findings.push({
        ...common,
        detail: "the kernel has none",
        mend: `boot a kernel with CONFIG_${configNames[kind]}=y`,
      });
    else {
      // for others than root everything is made in a user namespace, which is the one to be tried
      const tried = process.geteuid?.() === 0 || kind === "user";
      const failure = tried ? await failureOf(internals, probeNamespace(kind)) : undefined;
      if (failure === undefined) working.push(kind);
      else findings.push({ ...common, detail: failure, mend: mendOfNamespace(kind) });
    }
  }
  if (working.length > 0)
    findings.unshift({ area: "kernel", name: "namespaces", status: "ok", detail: working.join(", ") });
  return findings;
}

function mendOfNamespace(kind: NamespaceKind): string {
  if (kind !== "user") return "run as root on the host, or in a container that may make namespaces";
  if (readIfThere("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1")
    return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for gantry-executor";
  if (readIfThere("/proc/sys/kernel/unprivileged_userns_clone") === "0")
    return "sysctl -w kernel.unprivileged_userns_clone=1";
  return "sysctl -w user.max_user_namespaces=15000";
}

function statfsOf(path: string): number | undefined {
  try {
    return statfsSync(path).type;
  } catch {
    return undefined;
  }
}

function fileSystems(): readonly Finding[] {
  const known = new Set(
    (readIfThere("/proc/filesystems") ?? "").split("\n").map((line) => line.split("\t")[1]),
  );
  const needed: readonly (readonly [name: string, mend: string])[] = [
    ["overlay", "modprobe overlay, and write overlay to /etc/modules-load.d/overlay.conf"],
    ["tmpfs", "boot a kernel with CONFIG_TMPFS=y"],
    ["mqueue", "boot a kernel with CONFIG_POSIX_MQUEUE=y"],
    ["devpts", "boot a kernel with CONFIG_UNIX98_PTYS=y"],
  ];
  return needed.flatMap(([name, mend]): readonly Finding[] =>
    known.has(name)
      ? []
      : [
          {
            area: "kernel",
            name: `file system ${name}`,
            status: "failed",
            detail: "the kernel does not have it",
            mend,
          },
        ],
  );
}

/** Names of what an upper directory cannot lie on. */
const unfit: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x794c7630, "overlay"],
  [0x65735546, "FUSE"],
  [0x4d44, "FAT"],
]);

async function overlay(internals: Internals): Promise<Finding> {
  const { root } = internals.layout;
  const common = { area: "kernel", name: "overlay" } as const;
  if (process.geteuid?.() !== 0)
    return { ...common, status: "note", detail: "not tried: only root mounts it on the host" };
  makePrivateDirectory(root);
  let dir: string;
  try {
    dir = mkdtempSync(join(root, ".doctor-"));
  } catch (error) {
    throw wrapErrno(error, "make directory", root);
  }
  try {
    const places = { lower: join(dir, "lower"), upper: join(dir, "upper"), work: join(dir, "work") };
    for (const path of Object.values(places)) mkdirSync(path);
    const failure = await failureOf(internals, probeOverlay(places));
    if (failure === undefined) return { ...common, status: "ok", detail: `layers of ${root} can be stacked` };
    const kind = unfit.get(statfsOf(root) ?? 0);
    return {
      ...common,
      status: "failed",
      detail: kind === undefined ? failure : `${failure}: ${root} lies on ${kind}`,
      mend: "keep the store on ext4, xfs, btrfs or tmpfs (--root)",
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function seccomp(): Finding {
  const actions = readIfThere("/proc/sys/kernel/seccomp/actions_avail");
  const common = { area: "kernel", name: "seccomp" } as const;
  if (actions?.includes("errno")) return { ...common, status: "ok", detail: actions };
  return {
    ...common,
    status: "failed",
    detail: "the kernel filters no system calls, and every container has a filter by default",
    mend: "boot a kernel with CONFIG_SECCOMP_FILTER=y, or run with --security-opt seccomp=unconfined",
  };
}

function memoryFiles(): readonly Finding[] {
  if (readIfThere("/proc/sys/vm/memfd_noexec") !== "2") return [];
  return [
    {
      area: "kernel",
      name: "programs in memory",
      status: "failed",
      detail: "vm.memfd_noexec is 2, and the executor runs from sealed memory",
      mend: "sysctl -w vm.memfd_noexec=1",
    },
  ];
}
