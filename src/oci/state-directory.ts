/**
 * The state of OCI containers on disk: one directory each below --root.
 *
 *     <root>/<id>/config.json  the bundle's, as it was when the container was made
 *     <root>/<id>/seccomp.filter  what its policy was compiled to, if it has one
 *     <root>/<id>/state.json   written by the executor, atomically, before `create` returns
 *     <root>/<id>/exec.fifo    there as long as the program waits for `start`
 *
 * The directory is the claim to the id: it is made exclusively. What a container does now is asked of
 * the kernel: the pid and its start time tell whether it is still the same process.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  array,
  boolean,
  type Decoded,
  decodeJson,
  integer,
  object,
  optional,
  pattern,
  record,
  string,
} from "../base/decode.ts";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { removeTree } from "../base/remove-tree.ts";
import { hasEnded, parseProcStat } from "../linux/proc-stat.ts";
import { freezerOf, isFrozenState } from "../plan/compile/living-cgroups.ts";
import { stateFiles } from "../plan/state-files.ts";
import { runtimeHooks } from "../spec/runtime-hooks.ts";

const cgroup = object({
  version: integer(1, 2),
  mount: string,
  path: pattern(/^\/./, "a path below the mount"),
  controllers: optional(array(string, 100)),
});

const stateFile = object({
  ociVersion: string,
  id: string,
  /** Its hooks run just now; another record follows when they are over. */
  creating: optional(boolean),
  bundle: string,
  rootfs: string,
  annotations: record(string, 10_000),
  /** `create --no-new-keyring`: what joins the container gets none either. */
  noNewKeyring: optional(boolean),
  ownPids: boolean,
  cgroups: array(cgroup, 100),
  /** The group of resctrl that it is in, and those that go with it, the innermost first. */
  resctrl: optional(
    object({
      mount: string,
      group: optional(string),
      own: array(pattern(/^\/./, "a path below the mount"), 10),
    }),
  ),
  hooks: runtimeHooks,
  /** What was on 0, 1 and 2 when the container was made, as /proc/PID/fd names it. */
  descriptors: optional(array(string, 3)),
  pid: integer(1, 0x7fffffff),
  pidStart: integer(0),
  created: string,
});

export type StateFile = Decoded<typeof stateFile>;
export type StateCgroup = StateFile["cgroups"][number];
export type OciStatus = "creating" | "created" | "running" | "paused" | "stopped";

export interface OciContainer extends StateFile {
  readonly status: OciStatus;
  readonly directory: string;
  /** Uid of who made it. */
  readonly owner: number;
}

/** runc's texts, which callers look for. */
export const phrases = {
  invalidId: "invalid container ID format",
  exists: "container with given ID already exists",
  missing: "container does not exist",
  notRunning: "container not running",
  notPaused: "container not paused",
} as const;

export function checkId(id: string): string {
  if (!/^[A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,1023}$/.test(id))
    throw new GantryError("invalid-argument", `${phrases.invalidId}: ${JSON.stringify(id.slice(0, 200))}`);
  return id;
}

/** Longer than a `create` can be without a state: hooks, which may take their time, come after it. */
const unbornMs = 60_000;

/** True if the directory is what a `create` left that was killed before its container had a state. */
function isAbandoned(directory: string): boolean {
  try {
    return (
      !existsSync(join(directory, stateFiles.oci)) && Date.now() - statSync(directory).mtimeMs > unbornMs
    );
  } catch {
    return false;
  }
}

/** Claims the id. */
export function makeStateDirectory(root: string, id: string): string {
  const directory = join(root, checkId(id));
  try {
    // sticky: nobody who tidies up XDG_RUNTIME_DIR takes it (XDG base directory specification)
    if (mkdirSync(root, { recursive: true, mode: 0o700 }) !== undefined) chmodSync(root, 0o1700);
    if (isAbandoned(directory)) removeTree(directory);
    mkdirSync(directory, { mode: 0o711 });
  } catch (error) {
    if (errnoOf(error) === "EEXIST")
      throw new GantryError("already-exists", phrases.exists, { detail: { id } });
    throw wrapErrno(error, "make state directory", directory);
  }
  return directory;
}

/** True if the process is the one that the file speaks of, and lives. */
export function isAlive({ pid, pidStart }: Pick<StateFile, "pid" | "pidStart">): boolean {
  try {
    const stat = parseProcStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
    return stat.startTime === pidStart && !hasEnded(stat);
  } catch {
    return false;
  }
}

/** Frozen by `pause`. */
function isPaused(cgroups: readonly StateCgroup[]): boolean {
  const freezer = freezerOf(cgroups);
  if (!freezer) return false;
  const { cgroup, file } = freezer;
  try {
    return isFrozenState(readFileSync(`${cgroup.mount}${cgroup.path}/${file}`, "utf8"));
  } catch {
    // the cgroup is gone, and so is what could be frozen in it
    return false;
  }
}

function statusOf(state: StateFile, directory: string): OciStatus {
  if (!isAlive(state)) return "stopped";
  if (state.creating) return "creating";
  if (isPaused(state.cgroups)) return "paused";
  return existsSync(join(directory, stateFiles.fifo)) ? "created" : "running";
}

/** Reads one container; not-found in runc's words if there is none. */
export function readContainer(root: string, id: string): OciContainer {
  const directory = join(root, checkId(id));
  let text: string;
  try {
    text = readFileSync(join(directory, stateFiles.oci), "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw new GantryError("not-found", phrases.missing, { detail: { id } });
    throw wrapErrno(error, "read state", directory);
  }
  const state = decodeJson(text, stateFile, stateFiles.oci);
  return { ...state, status: statusOf(state, directory), directory, owner: statSync(directory).uid };
}

/** All containers below the root, by id. One that is being made or removed just now is left out. */
export function listContainers(root: string): readonly OciContainer[] {
  let names: string[];
  try {
    names = readdirSync(root).sort();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw wrapErrno(error, "list containers", root);
  }
  return names.flatMap((name) => {
    try {
      return [readContainer(root, name)];
    } catch (error) {
      if (error instanceof GantryError && (error.code === "not-found" || error.code === "invalid-argument"))
        return [];
      throw error;
    }
  });
}

/** The state of the runtime-spec, with runc's further members. */
export function stateDocument(container: OciContainer): Readonly<Record<string, unknown>> {
  const { ociVersion, id, pid, status, bundle, rootfs, created, owner, annotations } = container;
  return {
    ociVersion,
    id,
    pid: status === "stopped" ? 0 : pid,
    status,
    bundle,
    rootfs,
    created,
    owner: owner === 0 ? "root" : String(owner),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
}
