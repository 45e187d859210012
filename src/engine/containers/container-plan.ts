/** The plan of one start, and of what undoes it. */

import { join } from "node:path";
import { GantryError } from "../../base/error.ts";
import { isShared } from "../../bundle/shared-namespaces.ts";
import { filterOf } from "../../host/kept-filters.ts";
import { compileContainer } from "../../plan/compile/container.ts";
import type { ContainerRequest, EngineMode, HostProgram } from "../../plan/compile/request.ts";
import type { Plan } from "../../plan/plan.ts";
import type { SnapshotMounts } from "../../snapshots/snapshotter.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { Internals } from "../internals.ts";
import type { SharedTmpfs } from "../volumes/shared-tmpfs.ts";
import type { ContainerRecord } from "./container-record.ts";
import { containerAttributes } from "./event-attributes.ts";
import type { LogTarget } from "./log-target.ts";

/** What a plan is made from, beside the record. */
export interface PlanInput {
  /** Nobody of this program stays to remove it at its end: its shim has that done. */
  readonly unattended: boolean;
  readonly runtimeConfig: RuntimeConfig;
  readonly mounts: SnapshotMounts;
  /** What a start settles about its log. */
  readonly log?: LogTarget | undefined;
  readonly donors?: EngineMode["donors"];
  /** What other containers lend of volumes. */
  readonly lent?: EngineMode["sources"];
}

/** Mounts that show an image or a part of a volume; loaded only for containers that have any. */
async function sourcesOf(
  internals: Internals,
  { options }: ContainerRecord,
  { lent }: PlanInput,
): Promise<Pick<EngineMode, "sources">> {
  const mounts = options.mounts ?? [];
  if (!mounts.some((mount) => mount.kind === "image" || (mount.kind === "volume" && mount.subpath)))
    return lent && lent.size > 0 ? { sources: lent } : {};
  const { mountSources } = await import("./mount-sources.ts");
  return { sources: new Map([...(await mountSources(internals, mounts)), ...(lent ?? [])]) };
}

/** Loaded only for a log whose entries carry something, or that goes to a daemon. */
export async function settleLog(
  internals: Internals,
  record: ContainerRecord,
  runtimeConfig: RuntimeConfig,
): Promise<LogTarget> {
  const { driver, options } = record.log;
  const remote = driver === "journald" || driver === "syslog";
  if (!remote && (driver !== "json-file" || Object.keys(options).length === 0)) return {};
  const { logTarget } = await import("./log-target.ts");
  return await logTarget(record, record.log, runtimeConfig, (...words) =>
    internalCommand(internals, ...words),
  );
}

/** Whether anything is left to decide at its end. */
function isAwaited({ autoRemove, restartPolicy }: ContainerRecord, { unattended }: PlanInput): boolean {
  return (autoRemove && unattended) || (restartPolicy !== undefined && restartPolicy.name !== "no");
}

/** One that gets a restart policy while it runs has its shim asked for the same. */
function programAtEnd(internals: Internals, record: ContainerRecord, input: PlanInput): EngineMode["onExit"] {
  const program = internalCommand(internals, "exited", record.id);
  if (!program || isAwaited(record, input)) return program;
  return { ...program, marker: endMarker(internals, record.id) };
}

/** A file that tells the shim of the present run that something is left to decide at its end. */
export function endMarker({ containers }: Internals, id: string): string {
  return join(containers.stateDirectory(id), "decide");
}

/** What a container with --rm writes is thrown away at its end. */
function rootOf(mounts: SnapshotMounts, volatile: boolean): EngineMode["root"] {
  const { lower, upper, work } = mounts;
  if (upper === undefined || work === undefined)
    throw new GantryError("failed-precondition", "compile container: its snapshot takes no writes");
  return { kind: "overlay", lower, upper, work, volatile };
}

/** Whose namespaces it is to join, if any, as they run now. */
export async function donorsFor(
  internals: Internals,
  record: ContainerRecord,
  config: RuntimeConfig,
): Promise<EngineMode["donors"]> {
  const { network, pid, ipc, uts, userNamespace } = record.options;
  if (![network, pid, ipc, uts, userNamespace].some(isShared)) return undefined;
  const { donorsOf } = await import("./shared-namespaces.ts");
  return await donorsOf(internals, record, config);
}

/** Loaded only for volumes that are no directory. They are held until what comes back is disposed of. */
export async function lentVolumes(
  internals: Internals,
  record: ContainerRecord,
  options: { readonly signal?: AbortSignal },
): Promise<SharedTmpfs | undefined> {
  if (!record.options.mounts?.some((mount) => mount.kind === "volume" && mount.mounted)) return undefined;
  const { shareTmpfs } = await import("../volumes/shared-tmpfs.ts");
  return await shareTmpfs(internals, record, options);
}

/** Compiles the start of a container. */
export async function startPlan(
  internals: Internals,
  record: ContainerRecord,
  input: PlanInput,
): Promise<Plan> {
  const request = await startRequest(internals, record, input);
  if (record.runtime) {
    const { compileForeign } = await import("../../plan/compile/foreign.ts");
    return compileForeign({ ...request, filter: undefined }).plan;
  }
  return compileContainer({ ...request, filter: await filterOf(internals.layout.filters, request) });
}

/** What the plan of a start is compiled of. */
export async function startRequest(
  internals: Internals,
  record: ContainerRecord,
  input: PlanInput,
): Promise<Omit<ContainerRequest, "filter">> {
  const { containers, events, logger } = internals;
  const { id } = record;
  const runtime = record.runtime && (await import("./foreign-runtime.ts")).foreignRuntime(internals, record);
  return {
    id,
    config: input.runtimeConfig,
    bundle: containers.directory(id),
    facts: internals.hostFacts(),
    mode: {
      kind: "engine",
      root: rootOf(input.mounts, record.autoRemove),
      stdin: record.openStdin,
      state: containers.stateDirectory(id),
      log: {
        format: record.log.format,
        limitBytes: record.log.limitBytes,
        files: record.log.files,
        path: containers.logPath(id, record.log.format),
        ...input.log,
        ...(record.log.compress ? { packer: internalCommand(internals, "pack-log", id) } : {}),
      },
      stopSignal: record.stopSignal,
      ...(await sourcesOf(internals, record, input)),
      network: false,
      ...(record.healthCheck ? { onStart: internalCommand(internals, "keep") } : {}),
      onExit: programAtEnd(internals, record, input),
      donors: input.donors,
      runtime,
      onOom: events.line("oom", id, containerAttributes(record), containers.renamedPath(id)),
    },
    // profiles name the system calls of every architecture
    warn: (message, pointer) =>
      logger[pointer.startsWith("/linux/seccomp") ? "debug" : "warn"](message, { id, pointer }),
  };
}

/** The clean-up of a start, for when its shim was killed. */
export async function cleanupPlan(
  internals: Internals,
  record: ContainerRecord,
  runtimeConfig: RuntimeConfig,
): Promise<Plan> {
  const mounts = await (await internals.snapshotter()).mounts(record.id);
  const { referencesOf } = await import("./shared-namespaces.ts");
  // they may have ended long since, and have no part in a clean-up
  const donors = new Map(referencesOf(runtimeConfig).map((text) => [text, { pid: 1, start: 0 }]));
  const input = { runtimeConfig, mounts, donors, unattended: false };
  const { cleanup } = await startPlan(internals, record, input);
  return { host: [], child: [], cleanup };
}

/** `gantry internal …`, as a shim starts it, which has no environment of its own to hand on. */
function internalCommand({ helper }: Internals, ...words: readonly string[]): HostProgram | undefined {
  if (!helper) return undefined;
  const env = ["PATH", "HOME", "GANTRY_EXECUTOR"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [`${name}=${value}`];
  });
  return { args: [...helper, ...words], env };
}
