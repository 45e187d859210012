/** Makes a container: image, name, snapshot, bundle, record. */
import { chmodSync, copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { GantryError, wrapErrno } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { randomHex } from "../../base/random.ts";
import type { ContainerOptions } from "../../bundle/container-options.ts";
import { buildRuntimeConfig } from "../../bundle/runtime-config.ts";
import { isShared } from "../../bundle/shared-namespaces.ts";
import { resolveUser } from "../../bundle/user.ts";
import type { ImageContent } from "../../images/image.ts";
import type { OnPullEvent } from "../../images/progress.ts";
import type { PullPolicy } from "../../images/pull-options.ts";
import type { SnapshotMounts } from "../../snapshots/snapshotter.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import { bundleHost } from "../bundle-host.ts";
import { claimName } from "../claim-name.ts";
import { imageForContainer } from "../images/image-for-container.ts";
import { type Internals, lockContainer } from "../internals.ts";
import type { PodRecord } from "../pods/pod-record.ts";
import { containerFiles } from "./container-files.ts";
import { checkContainerName, nameClaim } from "./container-name.ts";
import type { PlanInput } from "./container-plan.ts";
import { type ContainerRecord, defaultLog } from "./container-record.ts";
import { discardContainer } from "./discard.ts";
import { containerAttributes } from "./event-attributes.ts";
import { type HealthOptions, healthCheckOf } from "./health-check.ts";
import { signalNumber } from "./kill.ts";
import type { LogRequest } from "./log-config.ts";
import type { RestartPolicy } from "./restart-policy.ts";
import { writeRuntimeConfig } from "./runtime-config-file.ts";
import { namesDevices } from "./settle-devices.ts";
import type { Shared } from "./shared-namespaces.ts";

/** What a container is made from: the image, Docker's options in Gantry's terms, and what the engine does with it. */
export interface CreateRequest extends ContainerOptions {
  /** Name, id, or beginning of the id. */
  readonly image: string;
  /** A random one if left out. */
  readonly name?: string | undefined;
  /** Remove it when it has ended. */
  readonly autoRemove?: boolean | undefined;
  /** Whether it has a stdin that can be written to; else it reads from /dev/null. */
  readonly stdin?: boolean | undefined;
  /** Whether stdin ends with the first client that is attached to it; default: unless it is run detached. */
  readonly stdinOnce?: boolean | undefined;
  /** Default: the image's, or TERM. */
  readonly stopSignal?: string | number | undefined;
  /** Default: 10. */
  readonly stopTimeoutSeconds?: number | undefined;
  /** How its health is asked for; default: as the image says. */
  readonly health?: HealthOptions | undefined;
  /** What is to follow on its end; default: nothing. */
  readonly restartPolicy?: RestartPolicy | undefined;
  /** When to ask the registry; default "missing". */
  readonly pull?: PullPolicy | undefined;
  /** The OCI runtime that makes it: a name of the settings, a program of PATH, or a path; default: Gantry itself. */
  readonly runtime?: string | undefined;
  /** Name or id of the pod that it shall be in. */
  readonly pod?: string | undefined;
  /** `linux/arm64`; default: what this machine is. */
  readonly platform?: string | undefined;
  /** Default: JSON lines, turned over at 16 MiB, two files. */
  readonly log?: LogRequest | undefined;
}

export interface CreateOptions {
  /** Told of the pull, if one is needed. */
  readonly onPull?: OnPullEvent;
  readonly signal?: AbortSignal;
}

/** What the maker of a container is told besides. */
export interface MakeOptions extends CreateOptions {
  /** The image is here and good: the rest is quick. */
  readonly onImage?: () => void;
  /** Nothing of it is to outlast `finish`: no volume is made. */
  readonly dry?: boolean;
}

/** A container that is made but for its record, which its maker writes: now, or as part of its start. */
export interface MadeContainer {
  readonly record: ContainerRecord;
  readonly input: Omit<PlanInput, "unattended">;
}

const defaultStopTimeoutSeconds = 10;

/** Makes a container and its record. */
export async function createContainer(
  internals: Internals,
  request: CreateRequest,
  options: CreateOptions = {},
): Promise<ContainerRecord> {
  return await makeContainer(internals, request, options, async ({ record }) => {
    internals.containers.write(record);
    internals.events.append("container", "create", record.id, containerAttributes(record));
    return record;
  });
}

/**
 * Makes a container and hands it to `finish`, which writes the record. Nothing is left of it if that fails. The lock
 * of the container is held all the time.
 */
export async function makeContainer<T>(
  internals: Internals,
  request: CreateRequest,
  options: MakeOptions,
  finish: (made: MadeContainer) => Promise<T>,
): Promise<T> {
  const { signal } = options;
  const cancellable = signal ? { signal } : {};
  if (request.name !== undefined) checkContainerName(request.name);
  if (request.autoRemove && request.restartPolicy && request.restartPolicy.name !== "no")
    throw new GantryError("invalid-argument", "can't create 'AutoRemove' container with restart policy");
  const stopSignal = request.stopSignal === undefined ? undefined : signalNumber(request.stopSignal);
  const log = request.log && (await import("./log-config.ts")).logConfig(request.log);
  if (log?.compress && !internals.helper)
    throw new GantryError(
      "unimplemented",
      "compressed logs need a helper: who compresses them is nobody here",
    );
  const image = await imageForContainer(internals, request, options);
  signal?.throwIfAborted();
  options.onImage?.();
  const limit = internals.diskLimit();
  if (limit) {
    const { checkDisk } = await import("../system/disk-limit.ts");
    await checkDisk(internals, limit, "create container", log ?? defaultLog, cancellable);
  }
  const id = randomHex(32);
  using _ = await lockContainer(internals, id, cancellable);
  using pod = request.pod === undefined ? undefined : await holdPod(internals, request.pod, cancellable);
  internals.containers.makeDirectory(id);
  try {
    faultPoint("create-directory");
    const settings = { ...cancellable, pod: pod?.record, log: log ?? defaultLog, dry: options.dry };
    const made = await makeLocked(internals, id, image, { ...request, stopSignal }, settings);
    faultPoint("create-bundle");
    signal?.throwIfAborted();
    return await finish(made);
  } catch (error) {
    await discardQuietly(internals, id);
    throw error;
  }
}

async function holdPod(internals: Internals, name: string, cancellable: { readonly signal?: AbortSignal }) {
  const { joinPod } = await import("../pods/join-pod.ts");
  return await joinPod(internals, name, cancellable);
}

/** The failure that led here is the one to tell; what cannot be removed now is removed by the next look. */
async function discardQuietly(internals: Internals, id: string): Promise<void> {
  try {
    await discardContainer(internals, { id });
  } catch (error) {
    internals.logger.warn("what was made of a container could not be removed", { id, error: String(error) });
  }
}

interface MakeSettings {
  readonly pod: PodRecord | undefined;
  readonly log: ContainerRecord["log"];
  readonly dry: boolean | undefined;
  readonly signal?: AbortSignal;
}

async function makeLocked(
  internals: Internals,
  id: string,
  image: ImageContent,
  asked: CreateRequest & { readonly stopSignal: number | undefined },
  { pod, log, dry, ...cancellable }: MakeSettings,
): Promise<MadeContainer> {
  const runtime = asked.runtime === undefined ? undefined : await chooseRuntime(internals, asked.runtime);
  const name = await claimName(internals, nameClaim(internals), asked.name, id);
  faultPoint("create-name");
  const parent = image.chainIds.at(-1);
  const mounts = await (await internals.snapshotter()).prepare(id, {
    ...(parent ? { parent } : {}),
    ...cancellable,
  });
  faultPoint("create-snapshot");
  const request = await withMounts(internals, id, image, asked, mounts, { dry, ...cancellable });
  const shares = pod !== undefined || sharesAnything(request);
  const shared = shares ? await share(internals, optionsOf(request), pod) : undefined;
  const options = shared?.options ?? optionsOf(request);
  const runtimeConfig = await makeBundle(internals, id, image, options, shared);
  const { hostname } = shared?.shared ?? {};
  const args = runtimeConfig.process?.args ?? [];
  const { Healthcheck, Shell } = image.imageConfig.config ?? {};
  const healthCheck = healthCheckOf(request.health, Healthcheck, Shell);
  const record: ContainerRecord = {
    version: 1,
    id,
    name,
    createdAt: new Date().toISOString(),
    image: {
      reference: request.image,
      id: image.id,
      manifest: image.manifestDescriptor.digest,
      chainIds: image.chainIds,
    },
    // the init that goes before it is no part of what the user asked for
    args: args.slice(request.init ? args.indexOf("--") + 1 : 0),
    entrypointLength: entrypointOf(image, request).length,
    labels: { ...image.imageConfig.config?.Labels, ...request.labels },
    autoRemove: request.autoRemove ?? false,
    openStdin: request.stdin ?? false,
    stdinOnce: request.stdin ? (request.stdinOnce ?? true) : false,
    stopSignal: request.stopSignal ?? signalNumber(image.imageConfig.config?.StopSignal || "TERM"),
    stopTimeoutSeconds: request.stopTimeoutSeconds ?? defaultStopTimeoutSeconds,
    ...(healthCheck ? { healthCheck } : {}),
    ...(request.restartPolicy ? { restartPolicy: request.restartPolicy } : {}),
    log,
    options,
    ...(pod ? { pod: pod.id } : {}),
    ...(runtime ? { runtime } : {}),
    ...(hostname !== undefined && runtimeConfig.hostname === undefined ? { hostname } : {}),
  };
  await checkLogTag(record, runtimeConfig);
  return { record, input: { runtimeConfig, mounts } };
}

/** Volumes and images that are mounted; loaded only for containers that have any. */
async function withMounts<R extends CreateRequest>(
  internals: Internals,
  id: string,
  image: ImageContent,
  request: R,
  root: SnapshotMounts,
  options: { readonly dry: boolean | undefined; readonly signal?: AbortSignal },
): Promise<R> {
  const declared = Object.keys(image.imageConfig.config?.Volumes ?? {}).length > 0;
  const asked = (request.mounts ?? []).some(({ kind }) => kind === "volume" || kind === "image");
  if (!declared && !asked && !request.volumesFrom?.length) return request;
  const { populateVolumes, prepareMounts } = await import("./container-mounts.ts");
  const mounts = await prepareMounts(internals, id, image, request, options);
  if (!options.dry) {
    const { autoRemove } = request;
    await populateVolumes(internals, mounts, root, { ...options, autoRemove });
  }
  faultPoint("create-populated");
  return { ...request, mounts };
}

/** A tag that cannot be made is told now, not at the first start. */
async function checkLogTag(record: ContainerRecord, runtimeConfig: RuntimeConfig): Promise<void> {
  if (!record.log.options.tag) return;
  const { logTag } = await import("./log-target.ts");
  logTag(record, record.log.options, runtimeConfig.process?.env ?? []);
}

function entrypointOf(image: ImageContent, { entrypoint }: CreateRequest): readonly string[] {
  return (entrypoint ?? image.imageConfig.config?.Entrypoint ?? []).filter(
    (part, index) => index > 0 || part !== "",
  );
}

/** What the bundle is made of, without what only the engine reads. */
function optionsOf(request: CreateRequest): ContainerOptions {
  const {
    image: _i,
    name: _n,
    autoRemove: _a,
    stdin: _s,
    restartPolicy: _r,
    health: _h,
    stdinOnce: _once,
    pull: _p,
    platform: _f,
    log: _l,
    pod: _o,
    runtime: _u,
    ...options
  } = request;
  return options;
}

async function chooseRuntime(internals: Internals, asked: string): Promise<ContainerRecord["runtime"]> {
  const { findRuntime } = await import("./foreign-runtime.ts");
  return findRuntime(internals, asked);
}

function sharesAnything({ network, pid, ipc, uts, userNamespace }: ContainerOptions): boolean {
  return [network, pid, ipc, uts, userNamespace].some(isShared);
}

async function share(internals: Internals, options: ContainerOptions, pod: PodRecord | undefined) {
  const { resolveShared } = await import("./shared-namespaces.ts");
  return await resolveShared(internals, options, pod);
}

/** Builds the runtime config and writes it with the files that it mounts. */
async function makeBundle(
  internals: Internals,
  id: string,
  image: ImageContent,
  options: ContainerOptions,
  shared: Shared | undefined,
) {
  const dir = internals.containers.directory(id);
  const execution = image.imageConfig.config ?? {};
  const user = await userOf(internals, id, options.user ?? execution.User ?? "", options.groupAdd);
  makeBindSources(options);
  const { config, warnings } = buildRuntimeConfig({
    id,
    image: execution,
    options,
    user,
    host: bundleHost(internals.hostFacts(), options),
    files: containerFiles(internals.containers.stateDirectory(id)),
    shared: shared?.shared,
    cgroupParent: shared?.cgroupParent,
    ...(options.init ? { initProgram: copyInit(internals.executor(), dir) } : {}),
  });
  for (const warning of warnings) internals.logger.warn(warning, { id });
  writeRuntimeConfig(internals, id, config);
  if (namesDevices({ options })) writeRuntimeConfig(internals, id, config, "created.json");
  return config;
}

/** A container that may remount can write to what is bound into it: so it gets a copy of its own (CVE-2019-5736). */
function copyInit(executor: string, dir: string): string {
  const path = join(dir, "init");
  try {
    copyFileSync(executor, path);
    chmodSync(path, 0o755);
  } catch (error) {
    throw wrapErrno(error, "copy init", path);
  }
  return path;
}

/** Names of users and groups are those of the container's own files. */
async function userOf(
  internals: Internals,
  id: string,
  spec: string,
  groupAdd: readonly string[] | undefined,
) {
  const snapshotter = await internals.snapshotter();
  const text = async (path: string) => {
    const bytes = await snapshotter.readFile(id, path);
    return bytes ? Buffer.from(bytes).toString("utf8") : "";
  };
  return resolveUser(spec, await text("/etc/passwd"), await text("/etc/group"), groupAdd);
}

/** Docker makes the missing source of a -v, and refuses that of a --mount; so do we. */
function makeBindSources(options: ContainerOptions): void {
  for (const mount of options.mounts ?? []) {
    if (mount.kind !== "bind") continue;
    if (!mount.createSource) {
      if (existsSync(mount.source)) continue;
      throw new GantryError(
        "invalid-argument",
        `invalid mount config for type "bind": bind source path does not exist: ${mount.source}`,
        { detail: { path: mount.source } },
      );
    }
    try {
      const made = mkdirSync(mount.source, { recursive: true });
      if (made !== undefined) chmodSync(mount.source, 0o755);
    } catch (error) {
      const wrapped = wrapErrno(error, "make bind source", mount.source);
      // a file is a source as good as a directory
      if (!(wrapped instanceof GantryError) || wrapped.code !== "already-exists") throw wrapped;
    }
  }
}
