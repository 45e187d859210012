/**
 * What a container has of a pod or of other containers. At its creation names become ids; at each start an id becomes
 * the process that has the namespaces then.
 */
import { GantryError, isGantryError } from "../../base/error.ts";
import type { ContainerOptions, ContainerReference } from "../../bundle/container-options.ts";
import { isShared, type SharedNamespaces } from "../../bundle/shared-namespaces.ts";
import type { NamespaceKind } from "../../linux/namespaces.ts";
import type { Donor } from "../../plan/compile/request.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import { taskState } from "../../tasks/task-state.ts";
import type { Internals } from "../internals.ts";
import type { PodRecord } from "../pods/pod-record.ts";
import type { ContainerRecord } from "./container-record.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

const reference = /^(container|pod):([0-9a-f]{64})$/;

/** What the config has in the place of paths. */
export function referencesOf({ linux, mounts = [] }: RuntimeConfig): readonly string[] {
  const paths = [...(linux?.namespaces ?? []).map(({ path }) => path), ...mounts.map(({ source }) => source)];
  return [...new Set(paths.filter((path): path is string => path !== undefined && reference.test(path)))];
}

/** The processes behind the references of a config; failed-precondition if one of them does not run. */
export async function donorsOf(
  internals: Internals,
  record: ContainerRecord,
  config: RuntimeConfig,
): Promise<ReadonlyMap<string, Donor>> {
  const donors = new Map<string, Donor>();
  for (const text of referencesOf(config)) {
    const [, kind, id] = reference.exec(text) as unknown as [string, "container" | "pod", string];
    const kinds = (config.linux?.namespaces ?? [])
      .filter(({ path }) => path === text)
      .map(({ type }) => type);
    const donor = kind === "pod" ? await pauseOf(internals, id) : initOf(internals, id);
    if (donor) donors.set(text, donor);
    else
      throw new GantryError(
        "failed-precondition",
        `start container "${record.name}": cannot join ${kinds.join(" and ")} namespace of a non running ${kind}: ${nameOf(internals, id)}`,
        { detail: { id: record.id, of: id } },
      );
  }
  return donors;
}

function nameOf(internals: Internals, id: string): string {
  return internals.containers.read(id)?.name ?? id;
}

function initOf(internals: Internals, id: string): Donor | undefined {
  const state = taskState(internals.containers.stateDirectory(id));
  if (state.kind !== "running") return undefined;
  return { pid: state.start.init.pid, start: state.start.init.startTime };
}

async function pauseOf(internals: Internals, id: string): Promise<Donor | undefined> {
  const { readSandbox } = await import("../pods/sandbox.ts");
  const pause = readSandbox(internals.pods.stateDirectory(id))?.pause;
  return pause && { pid: pause.pid, start: pause.startTime };
}

/** Options and what follows from them. */
export interface Shared {
  readonly options: ContainerOptions;
  readonly shared: SharedNamespaces;
  readonly cgroupParent?: string;
}

const kinds = { network: "network", pid: "pid", ipc: "ipc", uts: "uts", userNamespace: "user" } as const;
type SharedOption = keyof typeof kinds;

/** Finds what the options name, and what the pod gives where they say nothing. */
export async function resolveShared(
  internals: Internals,
  asked: ContainerOptions,
  pod: PodRecord | undefined,
): Promise<Shared> {
  const options: { -readonly [K in keyof ContainerOptions]: ContainerOptions[K] } = {
    ...(pod ? podDefaults(pod, asked) : asked),
  };
  const paths: Partial<Record<NamespaceKind, string>> = {};
  let found: Omit<SharedNamespaces, "paths"> = {};
  for (const option of Object.keys(kinds) as SharedOption[]) {
    const mode = options[option];
    if (!isShared(mode)) continue;
    if (mode === "pod") {
      if (!pod) throw new GantryError("invalid-argument", `${kinds[option]} of a pod without a pod`);
      const given = await ofPod(internals, pod, option);
      paths[kinds[option]] = given.path;
      found = { ...found, ...given.more };
    } else {
      const donor = findDonor(internals, mode, option);
      const text: ContainerReference = `container:${donor.id}`;
      options[option] = text;
      paths[kinds[option]] = text;
      found = { ...found, ...ofContainer(internals, donor, option, text) };
    }
  }
  return { options, shared: { paths, ...found }, ...(pod ? { cgroupParent: await cgroupOf(pod) } : {}) };
}

async function cgroupOf(pod: PodRecord): Promise<string> {
  const { podCgroup } = await import("../pods/pod-record.ts");
  return podCgroup(pod).replace(/\/$/, "");
}

/** Where the options say nothing the pod's way counts; what the pod holds of a network and of users is for all. */
function podDefaults({ name, namespaces, users }: PodRecord, asked: ContainerOptions): ContainerOptions {
  const mode = (kind: keyof typeof namespaces) =>
    namespaces[kind] === "container" ? undefined : namespaces[kind];
  const refuse = (what: string) => {
    throw new GantryError(
      "invalid-argument",
      `cannot set ${what} of a container in pod "${name}": it is that of the pod`,
    );
  };
  if (asked.network !== undefined && namespaces.network !== "container") refuse("the network");
  if (asked.userNamespace !== undefined && users) refuse("the user namespace");
  if (asked.hostname !== undefined && namespaces.uts === "pod" && asked.uts === undefined)
    refuse("the hostname");
  return {
    ...asked,
    network: asked.network ?? mode("network"),
    ipc: asked.ipc ?? mode("ipc"),
    uts: asked.uts ?? mode("uts"),
    pid: asked.pid ?? mode("pid"),
    userNamespace: asked.userNamespace ?? (users ? "pod" : undefined),
  };
}

async function ofPod(internals: Internals, pod: PodRecord, option: SharedOption) {
  const { podPlaces } = await import("../../plan/compile/pod.ts");
  const dir = internals.pods.stateDirectory(pod.id);
  const path = option === "pid" ? `pod:${pod.id}` : podPlaces.namespace(dir, kinds[option]);
  const more: Omit<SharedNamespaces, "paths"> = {
    ...(option === "ipc" ? { shm: podPlaces.shm(dir) } : {}),
    ...(option === "uts" ? { hostname: pod.hostname } : {}),
    ...(option === "userNamespace" ? { users: pod.users } : {}),
  };
  return { path, more };
}

function findDonor(internals: Internals, mode: string, option: SharedOption): ContainerRecord {
  const name = mode.slice("container:".length);
  try {
    return internals.containers.find(name);
  } catch (error) {
    if (!isGantryError(error, "not-found")) throw error;
    throw new GantryError("not-found", `joining ${kinds[option]} namespace of container: ${error.message}`, {
      detail: error.detail,
      cause: error,
    });
  }
}

function ofContainer(
  internals: Internals,
  donor: ContainerRecord,
  option: SharedOption,
  text: string,
): Omit<SharedNamespaces, "paths"> {
  const { options } = donor;
  switch (option) {
    case "ipc":
      if (["private", "none", undefined].includes(options.ipc))
        throw new GantryError(
          "invalid-argument",
          `container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
          { detail: { container: donor.id } },
        );
      return { shm: text };
    case "uts":
    case "network":
      return { hostname: hostnameOf(internals, donor) };
    case "userNamespace": {
      const { uidMappings, gidMappings } = readRuntimeConfig(internals, donor.id).linux ?? {};
      return uidMappings && gidMappings ? { users: { uidMappings, gidMappings } } : {};
    }
    default:
      return {};
  }
}

function hostnameOf(internals: Internals, donor: ContainerRecord): string | undefined {
  return donor.hostname ?? readRuntimeConfig(internals, donor.id).hostname;
}
