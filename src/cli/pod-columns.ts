/** The columns of `pod ps`, as podman computes and heads them. Pure. */
import type { PodInspection } from "../engine/pods/inspect-pod.ts";
import type { Column } from "./format/table.ts";
import { ago } from "./format/units.ts";
import { podStatusText, sharedNamespaces } from "./inspect-pod.ts";

export type PodRow = PodInspection;

export function podColumns({ truncate, now }: { truncate: boolean; now: Date }): readonly Column<PodRow>[] {
  const short = (id: string) => (truncate ? id.slice(0, 12) : id);
  return [
    { name: "Id", heading: "POD ID", value: ({ record }) => short(record.id) },
    { name: "Name", heading: "NAME", value: ({ record }) => record.name },
    { name: "Status", heading: "STATUS", value: podStatusText },
    { name: "Created", heading: "CREATED", value: ({ record }) => ago(record.createdAt, now) },
    // the pod holds its namespaces itself
    { name: "InfraId", heading: "INFRA ID", value: () => "" },
    { name: "NumberOfContainers", heading: "# OF CONTAINERS", value: ({ containers }) => containers.length },
    {
      name: "ContainerIds",
      heading: "IDS",
      value: ({ containers }) => containers.map(({ id }) => short(id)).join(","),
    },
    {
      name: "ContainerNames",
      heading: "NAMES",
      value: ({ containers }) => containers.map(({ name }) => name).join(","),
    },
    {
      name: "ContainerStatuses",
      heading: "STATUS",
      value: ({ containers }) => containers.map(({ status }) => status).join(","),
    },
    { name: "Cgroup", heading: "CGROUP", value: ({ cgroup }) => cgroup },
    { name: "Namespaces", heading: "NAMESPACES", value: (pod) => sharedNamespaces(pod).join(",") },
    {
      name: "Labels",
      heading: "LABELS",
      value: ({ record }) =>
        Object.entries(record.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(","),
    },
  ];
}

/** One pod of `--format json`. */
export function podJson(pod: PodRow): object {
  const { record, containers, cgroup } = pod;
  return {
    Cgroup: cgroup,
    Containers: containers.map(({ id, name, status }) => ({ Id: id, Names: name, Status: status })),
    Created: record.createdAt,
    Id: record.id,
    InfraId: "",
    Name: record.name,
    Namespace: "",
    Networks: [],
    Status: podStatusText(pod),
    Labels: record.labels,
  };
}

export function sortPods(
  pods: readonly PodRow[],
  key: "created" | "id" | "name" | "number" | "status",
): readonly PodRow[] {
  // newest first, as they come
  if (key === "created") return pods;
  const measure = (pod: PodRow): string | number =>
    key === "number" ? pod.containers.length : key === "status" ? pod.status : pod.record[key];
  return [...pods].sort((a, b) => (measure(a) < measure(b) ? -1 : measure(a) > measure(b) ? 1 : 0));
}
