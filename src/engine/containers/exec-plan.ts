/** The plan of a further process in a container that runs. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, GantryError, wrapErrno } from "../../base/error.ts";
import { LastUsed } from "../../base/last-used.ts";
import { randomHex } from "../../base/random.ts";
import { buildExecProcess, type ExecOptions } from "../../bundle/exec-process.ts";
import { resolveUser } from "../../bundle/user.ts";
import { filterOf } from "../../host/kept-filters.ts";
import { capabilitiesOfMask } from "../../linux/capabilities.ts";
import { compileExec } from "../../plan/compile/exec.ts";
import type { ExecCgroup, ExecMode } from "../../plan/compile/request.ts";
import { planMold, type ReadyPlan } from "../../plan/ready-plan.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { StartRecord } from "../../tasks/records.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { containerAttributes } from "./event-attributes.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

export interface ExecRequest extends ExecOptions {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** Whether it has a stdin that can be written to; else it reads from /dev/null. */
  readonly stdin?: boolean | undefined;
  /** Nobody is connected to its streams, and it outlives this program. */
  readonly detach?: boolean | undefined;
}

interface KnownConfig {
  readonly stamp: string;
  readonly config: RuntimeConfig;
}

/** Runtime configs by path, as long as the file is the same: parsing one takes longer than all else of an exec. */
const configs = new LastUsed<KnownConfig>(64);
/** Of a command line in the start record, which is read with a limit of 64 KiB. */
const recordedBytes = 16 * 1024;

function configOf(internals: Internals, id: string): KnownConfig {
  const path = join(internals.containers.directory(id), "config.json");
  let stamp: string;
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    stamp = [ino, size, mtimeNs, ctimeNs].join();
  } catch (error) {
    throw wrapErrno(error, "read runtime config", path);
  }
  const known = configs.get(path);
  if (known?.stamp === stamp) return known;
  return configs.keep(path, { stamp, config: readRuntimeConfig(internals, id) });
}

/** Names are those of the container's own files, as they are now. */
async function userOf(internals: Internals, { id, options }: ContainerRecord, spec: string) {
  const snapshotter = await internals.snapshotter();
  const text = async (path: string) =>
    Buffer.from((await snapshotter.readFile(id, path)) ?? []).toString("utf8");
  return resolveUser(spec, await text("/etc/passwd"), await text("/etc/group"), options.groupAdd);
}

/** Of the length that all have. */
export const newExecId = () => randomHex(32);

/** Undefined where init has ended just now: the plan says so then. */
function cgroupsOfInit(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(errnoOf(error) ?? "")) return undefined;
    throw wrapErrno(error, "read cgroups of process", `/proc/${pid}/cgroup`);
  }
}

function joinsOf(
  internals: Internals,
  start: StartRecord,
  initCgroups: string | undefined,
): Omit<ExecMode, "shim"> {
  const { unified, controllers } = internals.hostFacts().cgroups;
  const cgroups = start.cgroups.map(({ mount, path }): ExecCgroup => {
    if (mount === unified?.mountPoint) return { version: 2, mount, path };
    const own = [...controllers].filter(([, { mountPoint }]) => mountPoint === mount).map(([name]) => name);
    return { version: 1, mount, path, controllers: own };
  });
  const { pid, startTime } = start.init;
  return { kind: "exec", init: { pid, start: startTime }, cgroups, initCgroups, foreground: false };
}

/** Words as far as a record has room for them. */
function shortened(words: readonly string[]): readonly string[] {
  let room = recordedBytes;
  return words.filter((word) => {
    room -= Buffer.byteLength(word);
    return room >= 0;
  });
}

/** The last ones, by all that they come from: compiling one takes half the time that JavaScript has in an exec. */
const molds = new LastUsed<ExecPlans>(64);

/** The plan of each exec of one kind, by its id. */
export type ExecPlans = (execId: string) => ReadyPlan;

/**
 * `execs`: where the plan makes a directory, and takes it away at the end of one that is not detached; another runtime
 * needs it before.
 */
export async function execPlans(
  internals: Internals,
  record: ContainerRecord,
  start: StartRecord,
  request: ExecRequest,
  execs: string,
): Promise<ExecPlans> {
  const { config, stamp } = configOf(internals, record.id);
  const user = request.user ? await userOf(internals, record, request.user) : undefined;
  const initCgroups = cgroupsOfInit(start.init.pid);
  const attributes = containerAttributes(record);
  const key = JSON.stringify([execs, stamp, start.init, initCgroups, user, request, attributes]);
  const known = molds.get(key);
  if (known) return known;
  const { command, stdin = false, detach = false, ...options } = request;
  const facts = internals.hostFacts();
  if (!config.process)
    throw new GantryError("failed-precondition", `exec in "${record.name}": its config names no process`);
  const process = buildExecProcess({
    process: config.process,
    args: command,
    options,
    capabilities: capabilitiesOfMask(facts.capabilities),
    ...(user ? { user } : {}),
  });
  const execRecord = {
    args: shortened(command),
    terminal: process.terminal,
    stdin,
    user: options.user ?? "",
    privileged: options.privileged ?? false,
  };
  const shim = { detached: detach, stdin, record: execRecord };
  const renamed = internals.containers.renamedPath(record.id);
  // its shim tells of the end: nobody may wait for a process that is detached
  const onEnd = (execID: string) =>
    internals.events.line("exec_die", record.id, { ...attributes, execID }, renamed, {
      exitCode: '"@CODE@"',
    });
  const joins = joinsOf(internals, start, initCgroups);
  const unfiltered = (execId: string) => ({
    id: record.id,
    config: { ...config, process },
    bundle: internals.containers.directory(record.id),
    facts,
    mode: { ...joins, shim: { ...shim, state: join(execs, execId), onEnd: onEnd(execId) } },
    warn: (message: string, pointer: string) =>
      internals.logger[pointer.startsWith("/linux/seccomp") ? "debug" : "warn"](message, {
        id: record.id,
        pointer,
      }),
  });
  if (record.runtime) {
    const { foreignExecPlans } = await import("./foreign-runtime.ts");
    return foreignExecPlans(internals, record, execs, (execId) => ({
      ...unfiltered(execId),
      filter: undefined,
    }));
  }
  const standIn = newExecId();
  const filter = await filterOf(internals.layout.filters, unfiltered(standIn));
  return molds.keep(
    key,
    planMold(standIn, (execId) => compileExec({ ...unfiltered(execId), filter })),
  );
}
