/** Starts a container that does not run. */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GantryError, isGantryError, wrapErrno } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { removeTree } from "../../base/remove-tree.ts";
import type { TerminalSize } from "../../bundle/exec-process.ts";
import { machineName } from "../../host/hostname.ts";
import { openImageContent } from "../../images/image.ts";
import type { Dialogue } from "../../launch/dialogue.ts";
import type { AttachChoice } from "../../launch/messages.ts";
import { readyPlan } from "../../plan/ready-plan.ts";
import type { SnapshotMounts } from "../../snapshots/snapshotter.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import { startTask } from "../../tasks/start-task.ts";
import type { Attachment } from "../../tasks/task.ts";
import { taskState } from "../../tasks/task-state.ts";
import { bootId } from "../boot.ts";
import { ensureUnpacked } from "../images/ensure-unpacked.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { writeContainerFiles } from "./container-files.ts";
import {
  donorsFor,
  lentVolumes,
  type PlanInput,
  settleLog,
  startPlan,
  startRequest,
} from "./container-plan.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { containerAttributes } from "./event-attributes.ts";
import { settleLocked } from "./observe.ts";
import { withoutRestarts } from "./restart-policy.ts";
import { readCreatedConfig } from "./runtime-config-file.ts";
import { settleDevices } from "./settle-devices.ts";

export interface StartOptions {
  /** Connect to its streams from the first byte on; default true. */
  readonly attach?: boolean;
  /** Connect to its stdin too, if it has one; default true. */
  readonly stdin?: boolean | undefined;
  /** Of its terminal, from the first moment on. */
  readonly terminalSize?: TerminalSize | undefined;
  /** One that waits for the plan already. */
  readonly executor?: Dialogue;
  readonly signal?: AbortSignal;
}

/** Resolves when the program of the container runs. The attachment is there unless `attach` is false. */
export async function startContainer(
  internals: Internals,
  id: string,
  options: StartOptions = {},
): Promise<Attachment | undefined> {
  using _ = await lockContainer(internals, id, options);
  const record = await settleLocked(internals, id);
  if (!record) throw noSuchContainer(id);
  // somebody asks for it: what its policy did before counts no more
  return await startLocked(internals, withoutRestarts(record), options);
}

/** The same with the lock held, and what came before settled. */
export async function startLocked(
  internals: Internals,
  record: ContainerRecord,
  options: StartOptions = {},
): Promise<Attachment | undefined> {
  const { id } = record;
  if (record.startedInBoot && taskState(internals.containers.stateDirectory(id)).kind === "running")
    throw new GantryError("failed-precondition", `start container "${record.name}": it is already running`, {
      detail: { id, name: record.name, running: true },
    });
  const cancellable = options.signal ? { signal: options.signal } : {};
  const limit = internals.diskLimit();
  if (limit) {
    const { checkDisk } = await import("../system/disk-limit.ts");
    await checkDisk(internals, limit, `start container "${record.name}"`, undefined, cancellable);
  }
  const { chainIds, manifest } = record.image;
  const image = async () => await openImageContent(internals, manifest, cancellable);
  await ensureUnpacked(internals, chainIds, image, cancellable);
  const mounts = await (await internals.snapshotter()).mounts(id, cancellable);
  if (record.autoRemove) forgetFailedMount(mounts);
  const input = { runtimeConfig: readCreatedConfig(internals, id), mounts };
  using _pod = record.pod === undefined ? undefined : await holdPod(internals, record.pod, cancellable);
  try {
    return await launchLocked(internals, record, input, options);
  } catch (error) {
    recordFailure(internals, record, error);
    throw error;
  }
}

/**
 * Starts it with the lock held. When it fails, everything of the start is undone, and the record says that it was
 * begun, which the next look puts right.
 */
export async function launchLocked(
  internals: Internals,
  record: ContainerRecord,
  asked: Omit<PlanInput, "unattended">,
  options: StartOptions,
): Promise<Attachment | undefined> {
  const { containers } = internals;
  const { id } = record;
  if (process.geteuid?.() !== 0)
    throw new GantryError("permission-denied", `start container "${record.name}": only root can, for now`);
  const dir = containers.stateDirectory(id);
  // whoever has a terminal may let go of it
  const unattended = options.attach === false || Boolean(record.options.terminal);
  const mounts = record.options.mounts ?? [];
  if (mounts.some((mount) => mount.kind === "bind" && mount.propagation))
    (await import("./propagation.ts")).checkPropagation(mounts);
  const created = await settleDevices(internals, record, asked.runtimeConfig);
  const input = { ...asked, runtimeConfig: created };
  const log = await settleLog(internals, record, input.runtimeConfig);
  if (record.pod !== undefined) await readyPod(internals, record.pod, options.signal);
  const donors = await donorsFor(internals, record, input.runtimeConfig);
  const runtimeConfig = sized(input.runtimeConfig, options.terminalSize);
  const cancellable = options.signal ? { signal: options.signal } : {};
  using shared = await lentVolumes(internals, record, cancellable);
  const lent = shared?.sources;
  const plan = await startPlan(internals, record, { ...input, runtimeConfig, unattended, log, donors, lent });
  makeFreshDirectory(dir);
  if (record.runtime) {
    await forgetRuntimeState(internals, id);
    await writeBundle(internals, record, { ...input, runtimeConfig, unattended, donors, lent });
  }
  writeContainerFiles(dir, record.options, input.runtimeConfig.hostname ?? record.hostname ?? machineName());
  containers.write({ ...record, startedInBoot: bootId() });
  faultPoint("start-recorded");
  const attach =
    options.attach === false
      ? undefined
      : { stdout: true, stderr: true, ...(options.stdin === false ? {} : stdinChoice(record)) };
  const start = () =>
    startTask(readyPlan(plan), dir, {
      executor: internals.executor(),
      started: options.executor,
      ...(attach ? { attach } : {}),
      ...cancellable,
      onSync: (point) => faultPoint(`sync-${point}`),
    });
  const starting = record.runtime ? inWordsOfRuntime(dir, start) : start();
  internals.executors.prepare();
  let attachment: Attachment | undefined;
  try {
    ({ attachment } = await starting);
  } catch (error) {
    if (!shared?.isLost(error)) throw error;
    // who lent a volume has ended in the same moment: there may be somebody else, or it begins anew
    shared[Symbol.dispose]();
    if (record.autoRemove) forgetFailedMount(input.mounts);
    const { executor: _, ...again } = options;
    return await launchLocked(internals, record, asked, again);
  }
  faultPoint("started");
  const attributes = containerAttributes(record);
  if (attachment) internals.events.append("container", "attach", id, attributes);
  internals.events.append("container", "start", id, attributes);
  return attachment;
}

/** Of a run before, whose runtime could not be asked. */
async function forgetRuntimeState(internals: Internals, id: string): Promise<void> {
  const { forgetForeign } = await import("./forget-foreign.ts");
  forgetForeign(internals, id);
}

/** For another runtime. */
async function writeBundle(internals: Internals, record: ContainerRecord, input: PlanInput): Promise<void> {
  const { writeForeignBundle } = await import("./foreign-runtime.ts");
  writeForeignBundle(await startRequest(internals, record, input));
}

async function inWordsOfRuntime<T>(dir: string, start: () => Promise<T>): Promise<T> {
  const { explained } = await import("./runtime-words.ts");
  return await explained(dir, start);
}

async function holdPod(internals: Internals, id: string, cancellable: { readonly signal?: AbortSignal }) {
  const { joinPod } = await import("../pods/join-pod.ts");
  return await joinPod(internals, id, cancellable);
}

/** A container needs what its pod holds. The lock of the pod is held. */
async function readyPod(internals: Internals, id: string, signal: AbortSignal | undefined): Promise<void> {
  const { makeReady } = await import("../pods/start-pod.ts");
  await makeReady(internals, id, signal ? { signal } : {});
}

/** `echo hi | gantry run -i …` must come to an end: so stdin ends with its client. A terminal is never closed. */
export function stdinChoice({ openStdin, stdinOnce, options }: ContainerRecord): AttachChoice {
  return openStdin ? { stdin: true, ownsStdin: Boolean(stdinOnce) && !options.terminal } : {};
}

function sized(runtimeConfig: RuntimeConfig, size: TerminalSize | undefined): RuntimeConfig {
  const { process } = runtimeConfig;
  if (!size || !process?.terminal) return runtimeConfig;
  return {
    ...runtimeConfig,
    process: { ...process, consoleSize: { height: size.rows, width: size.columns } },
  };
}

/** The kernel's mark of a volatile overlay, from a start that failed: no program has written there yet. */
function forgetFailedMount({ work }: SnapshotMounts): void {
  const mark = join(work ?? "", "work/incompat/volatile");
  try {
    rmSync(mark, { recursive: true, force: true });
  } catch (error) {
    throw wrapErrno(error, "remove", mark);
  }
}

/** What an earlier run has left there is in the record by now. */
function makeFreshDirectory(dir: string): void {
  try {
    if (existsSync(dir)) removeTree(dir);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw wrapErrno(error, "make directory", dir);
  }
}

function recordFailure(internals: Internals, record: ContainerRecord, error: unknown): void {
  const { startedInBoot: _, ...rest } = record;
  const status = isGantryError(error) ? error.detail.status : undefined;
  const { startedAt, finishedAt } = record.lastRun ?? {};
  const lastRun = {
    // the times stay those of the last run that there was
    ...(startedAt === undefined ? {} : { startedAt }),
    finishedAt: (startedAt && finishedAt) || new Date().toISOString(),
    exitCode: status === 126 || status === 127 ? status : 128,
    oomKilled: false,
    error: error instanceof Error ? error.message : String(error),
  };
  try {
    internals.containers.write({ ...rest, lastRun });
  } catch (cause) {
    // the first failure is the one to tell; the next look finds the same
    internals.logger.warn("the record of a failed start could not be written", {
      id: record.id,
      cause: String(cause),
    });
  }
}
