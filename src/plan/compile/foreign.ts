/**
 * A container that another OCI runtime makes (runc, crun, …) -> plan and bundle config.
 *
 *     executor, later shim                              runtime
 *     mounts of its own; root and what is shared there
 *     pipes, log, socket
 *     create ─────────────────────────────────────────► makes the container, which waits
 *     take its first process as the child ◄───────────── ends
 *     record
 *     start ──────────────────────────────────────────► lets the program go on
 *     supervise
 *     clean-up: delete --force ───────────────────────► forgets it
 *
 * The runtime sees a bundle whose root is mounted, as its callers do, but in mounts that only the shim has until the
 * container is made: on the host nothing is mounted. What the config has of other containers is put there as well, from processes that are proved.
 */
import { join } from "node:path";
import { refuse } from "../../base/decode.ts";
import { bug, GantryError } from "../../base/error.ts";
import { cloneFlags, namespaces as namespaceFacts } from "../../linux/namespaces.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { RuntimeLinux } from "../../spec/runtime-linux.ts";
import type { Plan, Step } from "../plan.ts";
import { stateFiles } from "../state-files.ts";
import { cgroupsOf } from "./cgroups.ts";
import { closeDonors, donorRegister, tmpfsType } from "./donors.ts";
import { Draft, rootRegister } from "./draft.ts";
import { closeChildStdio, openStdio, recordStart, stayAsShim, watchMemory } from "./life.ts";
import type { ContainerRequest, ForeignRuntime } from "./request.ts";
import { overlay, rootOf } from "./root.ts";

/** Places in the state directory. */
export const foreignPlaces = {
  bundle: (state: string) => join(state, stateFiles.bundle),
  root: (state: string) => join(state, stateFiles.bundle, "rootfs"),
  namespaces: (state: string) => join(state, "ns"),
  shm: (state: string) => join(state, "shm"),
  log: (state: string) => join(state, stateFiles.runtimeLog),
} as const;

/** What the engine asks for is in this version already, and there are runtimes that take no later one (crun 1.8). */
const commonVersion = "1.0.2";

/** The whole of `create`; `start` and `delete` have less to do. */
const timeoutMs = 120_000;

/** What is asked of a runtime for one verb. */
export function runtimeStep(
  runtime: ForeignRuntime,
  state: string,
  verb: readonly string[],
  stdio: readonly (string | undefined)[] = [],
): Step {
  const global = ["--root", runtime.root, "--log", foreignPlaces.log(state), "--log-format", "json"];
  return {
    op: "run-runtime",
    where: "",
    phrase: `OCI runtime ${verb[0]} failed`,
    path: runtime.path,
    args: [runtime.path, ...global, ...verb],
    env: runtime.env,
    stdin: stdio[0],
    stdout: stdio[1],
    stderr: stdio[2],
    timeoutMs,
  };
}

export interface ForeignStart {
  readonly plan: Plan;
  /** For `config.json` of the bundle. */
  readonly config: RuntimeConfig;
}

export function compileForeign(request: ContainerRequest): ForeignStart {
  const draft = new Draft(request);
  const { id, mode, config } = request;
  const runtime = mode.kind === "engine" ? mode.runtime : undefined;
  if (mode.kind !== "engine" || !runtime) bug("a foreign start without a runtime");
  if (!config.linux) refuse("/linux", "is required");
  checkForeign(config);
  const { state } = mode;
  const cgroups = cgroupsOf(draft);

  draft.host.push({ op: "prepare-runtime", where: "" });
  const linux = { ...config.linux, namespaces: lendNamespaces(draft, state) };
  const mounts = lendMounts(draft, state);
  closeDonors(draft);
  mountRoot(draft, foreignPlaces.root(state));
  const stdio = openStdio(draft);
  const pidFile = join(state, stateFiles.runtimePid);
  const bundle = foreignPlaces.bundle(state);
  // in the order of undoing: what is left of it, its cgroups, what the runtime remembers
  for (const { hierarchy, path } of cgroups)
    draft.cleanup.push({ op: "remove-cgroup", where: "", mount: hierarchy.mountPoint, path });
  draft.cleanup.push(runtimeStep(runtime, state, ["delete", "--force", id]));
  draft.host.push(
    runtimeStep(runtime, state, ["create", "--bundle", bundle, "--pid-file", pidFile, id], stdio),
  );
  closeChildStdio(draft, stdio);
  draft.host.push({ op: "adopt-container", where: "", pidFile });
  recordStart(draft, cgroups);
  watchMemory(draft, mode, cgroups);
  draft.host.push(runtimeStep(runtime, state, ["start", id]));
  stayAsShim(draft, mode);
  return {
    plan: draft.finish(),
    config: {
      ...config,
      ociVersion: commonVersion,
      root: { path: "rootfs", readonly: config.root?.readonly ?? false },
      mounts,
      linux,
    },
  };
}

/** What the engine does by itself, and a runtime would have to be told in words of its own. */
function checkForeign({ linux, process }: RuntimeConfig): void {
  const unavailable = (what: string) => {
    throw new GantryError("unimplemented", `${what} cannot be had with another runtime (--runtime)`);
  };
  if (linux?.namespaces?.some(({ type }) => type === "user")) unavailable("a user namespace");
  if (process?.terminal) unavailable("a terminal");
}

/** Overlay of the image's layers, where only the runtime sees it. */
function mountRoot(draft: Draft<ContainerRequest>, path: string): void {
  const root = rootOf(draft);
  if (root.kind !== "overlay") bug("a root of the engine that is no overlay");
  draft.host.push(
    overlay(root),
    { op: "pin", where: "", fd: rootRegister, path, kind: 0 },
    { op: "close", where: "", fd: rootRegister },
  );
}

/** A runtime takes a path: that of a mount which shows the namespace of a process that was proved. */
function lendNamespaces(draft: Draft, state: string): RuntimeLinux["namespaces"] {
  return (draft.linux.namespaces ?? []).map((namespace, index) => {
    const donor = namespace.path === undefined ? undefined : draft.donor(namespace.path);
    if (!donor) return namespace;
    const where = `/linux/namespaces/${index}/path`;
    const { type } = namespace;
    const path = join(foreignPlaces.namespaces(state), namespaceFacts[type].procName);
    const fd = `${type} namespace`;
    const process = donorRegister(draft, donor, where);
    draft.host.push(
      { op: "open-process-namespace", where, process, pid: donor.pid, kind: cloneFlags([type]), fd },
      { op: "pin", where, fd, path, kind: 1 },
      { op: "close", where, fd },
    );
    return { type, path };
  });
}

/** The same for the /dev/shm of another container. */
function lendMounts(draft: Draft, state: string): RuntimeConfig["mounts"] {
  return (draft.config.mounts ?? []).map((mount, index) => {
    const donor = mount.source === undefined ? undefined : draft.donor(mount.source);
    if (!donor) return mount;
    const where = `/mounts/${index}/source`;
    const path = foreignPlaces.shm(state);
    const process = donorRegister(draft, donor, where);
    draft.host.push(
      { op: "take-tree", where, process, path: mount.destination, type: tmpfsType, fd: "shm" },
      { op: "pin", where, fd: "shm", path, kind: 0 },
      { op: "close", where, fd: "shm" },
    );
    return { ...mount, source: path };
  });
}
