/** Where things lie on disk: persistent state below `root`, what dies with the machine below `state`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { wrapErrno } from "../base/error.ts";

export interface StoreLayout {
  readonly root: string;
  readonly state: string;
  readonly content: string;
  readonly images: string;
  readonly snapshots: string;
  readonly containers: string;
  readonly names: string;
  readonly pods: string;
  readonly podNames: string;
  readonly volumes: string;
  /** On the run-time side: a full disk must not keep anybody from removing things. */
  readonly locks: string;
  readonly leases: string;
  /** Of running containers: start.json, exit.json, shim.sock. */
  readonly taskStates: string;
  /** What pods hold. */
  readonly podStates: string;
  /** States of other OCI runtimes, a directory for each. */
  readonly runtimes: string;
  readonly events: string;
  /** Compiled seccomp filters. */
  readonly filters: string;
}

/**
 * GANTRY_ROOT and GANTRY_STATE if they are set; else root's places for root, those of the XDG base directories for
 * everybody else.
 */
export function defaultPlaces(env: NodeJS.ProcessEnv = process.env): { root: string; state: string } {
  const own = ownPlaces(env);
  return { root: env.GANTRY_ROOT || own.root, state: env.GANTRY_STATE || own.state };
}

function ownPlaces(env: NodeJS.ProcessEnv): { root: string; state: string } {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return { root: "/var/lib/gantry", state: "/run/gantry" };
  const data = env.XDG_DATA_HOME || join(env.HOME || "/", ".local/share");
  const runtime = env.XDG_RUNTIME_DIR || join("/tmp", `gantry-${uid}`);
  return { root: join(data, "gantry"), state: join(runtime, "gantry") };
}

export function storeLayout(root: string, state: string): StoreLayout {
  return {
    root,
    state,
    content: join(root, "content"),
    images: join(root, "images"),
    snapshots: join(root, "snapshots"),
    containers: join(root, "containers"),
    names: join(root, "names"),
    pods: join(root, "pods"),
    podNames: join(root, "pod-names"),
    volumes: join(root, "volumes"),
    locks: join(state, "locks"),
    leases: join(root, "leases"),
    taskStates: join(state, "containers"),
    podStates: join(state, "pods"),
    runtimes: join(state, "runtimes"),
    events: join(state, "events.log"),
    filters: join(state, "filters"),
  };
}

/** Makes a private directory and its missing parents. */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw wrapErrno(error, "make directory", path);
  }
}
