/** `gantry pod create`. */
import { isGantryError } from "../../base/error.ts";
import { type PodNamespaces, podNamespaceKinds } from "../../bundle/pod-config.ts";
import type { PodRequest } from "../../engine/pods/create-pod.ts";
import { reserveCidFile } from "../cid-file.ts";
import { defineCommand } from "../command.ts";
import { parseMemory } from "../format/units.ts";
import { flag, list, parsed, text, UsageError, type ValuesOf, whole } from "../options.ts";
import { gatherLabels } from "../run-options/environment.ts";
import { parseCpuList, parseCpus, parseMemorySwap } from "../run-options/limits.ts";

const options = {
  "cgroup-parent": text("Cgroup below which that of the pod is made (default /gantry)"),
  "cpu-shares": whole("CPU shares (relative weight) of all containers together", { short: "c", min: 0 }),
  cpus: parsed("Number of CPUs for all containers together", "decimal", parseCpus),
  "cpuset-cpus": parsed("CPUs in which to allow execution (0-3, 0,1)", "string", parseCpuList),
  "cpuset-mems": parsed("MEMs in which to allow execution (0-3, 0,1)", "string", parseCpuList),
  hostname: text("Host name of the pod (default: its name)", { short: "h" }),
  infra: flag("Accepted: the pod holds its namespaces itself", { fallback: true, hidden: true }),
  label: list("Set meta data on the pod", { short: "l" }),
  "label-file": list("Read in a line delimited file of labels"),
  memory: parsed("Memory limit of all containers together", "bytes", parseMemory, { short: "m" }),
  "memory-swap": parsed(
    "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
    "bytes",
    parseMemorySwap,
  ),
  name: text("Assign a name to the pod", { short: "n" }),
  network: parsed("Network of the pod: none (the default: nothing but lo) or host", "network", parseNetwork),
  pid: parsed("PID namespace of the pod's containers: host, or each its own", "string", parsePid),
  "pids-limit": whole("Limit of processes of all containers together (set -1 for unlimited)", { min: -1 }),
  "pod-id-file": text("Write the pod ID to the file"),
  replace: flag("If a pod with the same name exists, replace it"),
  share: parsed(
    'Namespaces that the pod holds for its containers: ipc, net, pid, uts, or none (default "ipc,net,uts")',
    "list",
    parseShare,
  ),
  "shm-size": parsed("Size of /dev/shm", "bytes", parseMemory),
  sysctl: list("Sysctl options", { value: "name=value", parse: parseSysctl }),
};

export const podCreate = defineCommand({
  name: "pod create",
  usage: "[OPTIONS] [NAME]",
  summary: "Create a new empty pod",
  about:
    "A pod holds namespaces and a cgroup for containers (run --pod NAME), without a process of its own\nunless they share a PID namespace.",
  options,
  minArguments: 0,
  maxArguments: 1,
  examples: [
    ["gantry pod create web", "An empty pod"],
    [
      "gantry run -d --pod web nginx && gantry run --rm --pod web busybox wget -qO- localhost",
      "Two containers in it",
    ],
    ["gantry pod create --name job -m 512m --share net,ipc,uts,pid", "With a limit, and one PID namespace"],
  ],
  async run(context, { values, positionals }) {
    const request = podRequest(values, positionals);
    using idFile = values["pod-id-file"] === undefined ? undefined : reserveCidFile(values["pod-id-file"]);
    const engine = await context.engine();
    const { signal } = context;
    if (values.replace && request.name !== undefined) {
      try {
        await (await engine.pod(request.name, { signal })).remove({ force: true, signal });
      } catch (error) {
        if (!isGantryError(error, "not-found")) throw error;
      }
    }
    const pod = await engine.createPod(request, { signal });
    idFile?.write(pod.id);
    context.out(`${pod.id}\n`);
    return 0;
  },
});

function podRequest(values: ValuesOf<typeof options>, [positional]: readonly string[]): PodRequest {
  const name = values.name ?? positional;
  if (values.name !== undefined && positional !== undefined && values.name !== positional)
    throw new UsageError("cannot specify --name and a name of the pod that is another one");
  const { share } = values;
  if (values.network === "host" && share?.includes("network"))
    throw new UsageError("cannot set --network=host and share the network namespace of the pod");
  if (values.pid === "host" && share?.includes("pid"))
    throw new UsageError("cannot set --pid=host and share the PID namespace of the pod");
  return {
    name,
    hostname: values.hostname,
    labels: gatherLabels(values["label-file"], values.label),
    namespaces: {
      ...(share ? sharing(share) : {}),
      ...(values.network === "host" ? { network: "host" } : {}),
      ...(values.pid === "host" ? { pid: "host" } : {}),
    },
    sysctls: Object.fromEntries(values.sysctl),
    cgroupParent: values["cgroup-parent"],
    shmSizeBytes: values["shm-size"],
    memoryBytes: values.memory,
    memorySwapBytes: values["memory-swap"],
    cpus: values.cpus,
    cpuShares: values["cpu-shares"],
    cpusetCpus: values["cpuset-cpus"],
    cpusetMems: values["cpuset-mems"],
    pidsLimit: values["pids-limit"],
  };
}

type PodNamespaceKind = keyof PodNamespaces;

function sharing(shared: readonly PodNamespaceKind[]): PodNamespaces {
  const mode = (kind: PodNamespaceKind) => (shared.includes(kind) ? "pod" : "container");
  return Object.fromEntries(podNamespaceKinds.map((kind) => [kind, mode(kind)])) as unknown as PodNamespaces;
}

const shareNames: Readonly<Record<string, PodNamespaceKind>> = {
  ipc: "ipc",
  net: "network",
  pid: "pid",
  uts: "uts",
};

function parseShare(given: string): readonly PodNamespaceKind[] {
  if (given === "none" || given === "") return [];
  return given.split(",").map((name) => {
    const kind = Object.hasOwn(shareNames, name) ? shareNames[name] : undefined;
    if (!kind)
      throw new Error(`invalid kernel namespace to share: ${name}. Options are: ipc, net, pid, uts or none`);
    return kind;
  });
}

function parseNetwork(given: string): "none" | "host" {
  if (given === "none" || given === "host") return given;
  throw new Error("only none and host are available yet");
}

function parsePid(given: string): "private" | "host" {
  if (given === "private" || given === "host") return given;
  throw new Error("must be private or host; for one that the containers share: --share pid");
}

function parseSysctl(given: string): readonly [string, string] {
  const equals = given.indexOf("=");
  if (equals < 1) throw new Error("must be NAME=VALUE");
  return [given.slice(0, equals), given.slice(equals + 1)];
}
