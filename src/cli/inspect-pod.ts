/** A pod in the form that podman's inspect has. Pure. */
import { podNamespaceKinds } from "../bundle/pod-config.ts";
import type { PodInspection } from "../engine/pods/inspect-pod.ts";
import { asMap } from "./format/template.ts";

/** podman's names of namespaces. */
const namespaceNames = { network: "net", ipc: "ipc", uts: "uts", pid: "pid" } as const;

/** `Running`. */
export function podStatusText({ status }: PodInspection): string {
  return status.charAt(0).toUpperCase() + status.slice(1);
}

export function sharedNamespaces({ record }: PodInspection): readonly string[] {
  const shared = podNamespaceKinds.filter((kind) => record.namespaces[kind] === "pod");
  return [...shared.map((kind) => namespaceNames[kind]), ...(record.users ? ["user"] : [])].sort();
}

export function inspectPodView(pod: PodInspection) {
  const { record, state, containers, cgroup, namespacePaths } = pod;
  const { limits } = record;
  return {
    Id: record.id,
    Name: record.name,
    Created: record.createdAt,
    ExitPolicy: "continue",
    State: podStatusText(pod),
    Hostname: record.hostname,
    Labels: asMap(record.labels),
    CreateCgroup: record.ownsCgroup,
    CgroupParent: record.cgroupParent,
    CgroupPath: cgroup,
    CreateInfra: false,
    SharedNamespaces: sharedNamespaces(pod),
    HostNamespaces: podNamespaceKinds
      .filter((kind) => record.namespaces[kind] === "host")
      .map((kind) => namespaceNames[kind]),
    NamespacePaths: asMap(namespacePaths),
    Sandbox: {
      State: state.kind,
      StartedAt: state.kind === "ready" ? state.sandbox.startedAt : "",
      FinishedAt: state.kind === "stopped" ? state.finishedAt : "",
      Error: state.kind === "stopped" ? (state.error ?? "") : "",
      PausePid: state.kind === "ready" ? (state.sandbox.pause?.pid ?? 0) : 0,
    },
    Sysctls: asMap(record.sysctls),
    memory_limit: limits.memoryBytes ?? 0,
    memory_swap: limits.memorySwapBytes ?? 0,
    cpu_period: limits.cpus ? 100_000 : 0,
    cpu_quota: Math.round((limits.cpus ?? 0) * 100_000),
    cpu_shares: limits.cpuShares ?? 0,
    cpuset_cpus: limits.cpusetCpus ?? "",
    cpuset_mems: limits.cpusetMems ?? "",
    pids_limit: limits.pidsLimit ?? 0,
    shm_size: record.shmSizeBytes,
    NumContainers: containers.length,
    Containers: containers.map(({ id, name, status }) => ({ Id: id, Name: name, State: status })),
  };
}
