/** Makes a pod. It holds nothing before it is started. */
import { GantryError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { randomHex } from "../../base/random.ts";
import type { PodLimits, PodNamespaces } from "../../bundle/pod-config.ts";
import type { IdMapping } from "../../spec/runtime-mount.ts";
import { claimName, type NameClaim } from "../claim-name.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { discardPod } from "./discard-pod.ts";
import { clearHalfMadePod, observePod } from "./observe-pod.ts";
import { defaultCgroupParent, podPlan } from "./pod-plan.ts";
import { type PodRecord, podAttributes } from "./pod-record.ts";

export interface PodRequest extends PodLimits {
  /** A random one if left out. */
  readonly name?: string | undefined;
  /** The name of the pod if left out; the host's where the containers have the host's UTS namespace. */
  readonly hostname?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** "pod" for network, ipc and uts, "container" for pid, unless told. */
  readonly namespaces?: Partial<PodNamespaces> | undefined;
  /** Id maps of a user namespace for the pod and its containers; the host's users if left out. */
  readonly users?:
    | { readonly uidMappings: readonly IdMapping[]; readonly gidMappings: readonly IdMapping[] }
    | undefined;
  /** Set when the pod starts, in the namespaces that it holds. */
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  /** Absolute path in every cgroup hierarchy; /gantry unless told. */
  readonly cgroupParent?: string | undefined;
  /**
   * False: containers go directly into `cgroupParent`, which whoever made it limits and removes, as a kubelet does.
   * Else the pod makes a cgroup of its own in it.
   */
  readonly ownsCgroup?: boolean | undefined;
  /** Of the /dev/shm that the containers share. */
  readonly shmSizeBytes?: number | undefined;
}

const defaultShmBytes = 64 * 1024 * 1024;
const nameForm = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export async function createPod(
  internals: Internals,
  request: PodRequest,
  options: { readonly signal?: AbortSignal } = {},
): Promise<PodRecord> {
  checkRequest(request);
  const { pods } = internals;
  const id = randomHex(32);
  using _ = await lockContainer(internals, id, options);
  pods.makeDirectory(id);
  try {
    faultPoint("pod-create-directory");
    const name = await claimName(internals, nameClaim(internals), request.name, id);
    faultPoint("pod-create-name");
    const record = recordOf(request, id, name);
    // what cannot be started is refused now
    podPlan(internals, record, false);
    options.signal?.throwIfAborted();
    pods.write(record);
    faultPoint("pod-create-record");
    internals.events.append("pod", "create", id, podAttributes(record));
    return record;
  } catch (error) {
    await discardPod(internals, { id });
    throw error;
  }
}

function checkRequest({ name, cgroupParent, ownsCgroup, users, namespaces = {} }: PodRequest): void {
  const invalid = (message: string) => new GantryError("invalid-argument", message);
  if (name !== undefined && (!nameForm.test(name) || name.length > 255))
    throw invalid("running pod create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument");
  if (cgroupParent !== undefined && !/^\/[^/]/.test(cgroupParent))
    throw invalid(`invalid cgroup parent ${JSON.stringify(cgroupParent)}: it must be an absolute path`);
  if (ownsCgroup === false && cgroupParent === undefined)
    throw invalid("a pod without a cgroup of its own needs a cgroup parent");
  if (users && namespaces.pid === "host")
    throw invalid("a pod with a user namespace cannot have the pid namespace of the host");
}

function recordOf(request: PodRequest, id: string, name: string): PodRecord {
  const { hostname = name, labels = {}, sysctls = {}, users } = request;
  const { memoryBytes, memorySwapBytes, memoryReservationBytes } = request;
  const { cpus, cpuShares, cpusetCpus, cpusetMems, pidsLimit } = request;
  return {
    version: 1,
    id,
    name,
    createdAt: new Date().toISOString(),
    labels,
    hostname,
    namespaces: { network: "pod", ipc: "pod", uts: "pod", pid: "container", ...request.namespaces },
    ...(users ? { users } : {}),
    sysctls,
    cgroupParent: request.cgroupParent ?? defaultCgroupParent,
    ownsCgroup: request.ownsCgroup ?? true,
    limits: {
      memoryBytes,
      memorySwapBytes,
      memoryReservationBytes,
      cpus,
      cpuShares,
      cpusetCpus,
      cpusetMems,
      pidsLimit,
    },
    shmSizeBytes: request.shmSizeBytes ?? defaultShmBytes,
  };
}

function nameClaim({ pods: store }: Internals): NameClaim {
  return { store, observe: observePod, clear: clearHalfMadePod, taken: nameTaken };
}

/** podman's words. */
function nameTaken(name: string, owner: string): GantryError {
  return new GantryError(
    "already-exists",
    `adding pod to state: name "${name}" is in use: pod already exists`,
    { detail: { name, owner } },
  );
}
