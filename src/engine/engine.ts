/**
 * The engine: containers, images and volumes of one store, from any program, without a daemon. Several engines, in one process
 * or in many, may work on one store at the same time. What a verb needs is loaded when it is first used.
 */
import { type Logger, silentLogger } from "../base/log.ts";
import { type Image, listImages, openImage } from "../images/image.ts";
import type { ImportOptions } from "../images/import-tar.ts";
import type { RemovedImage } from "../images/remove.ts";
import { Container } from "./containers/container.ts";
import type { CreateOptions, CreateRequest } from "./containers/create.ts";
import type { ContainerSummary, ListOptions } from "./containers/list.ts";
import { observeAll } from "./containers/observe.ts";
import type { RunRequest } from "./containers/run.ts";
import type { ExamineOptions } from "./doctor/examine.ts";
import type { Finding } from "./doctor/finding.ts";
import type { EngineEvent, ReadEventsOptions } from "./events.ts";
import type { Explanation } from "./explain.ts";
import type { PullImageOptions } from "./images/pull.ts";
import type { RemoveImageOptions } from "./images/remove.ts";
import type { EngineInfo } from "./info.ts";
import type { Internals } from "./internals.ts";
import type { KeepOptions } from "./keeper/keeper.ts";
import { openInternals } from "./open-internals.ts";
import type { PodRequest } from "./pods/create-pod.ts";
import type { PodInspection } from "./pods/inspect-pod.ts";
import type { Pod } from "./pods/pod.ts";
import type { DiskUsage } from "./system/disk-usage.ts";
import type { PrunedContainers, PrunedImages, PruneImagesOptions, PruneOptions } from "./system/prune.ts";
import type {
  CreateVolumeRequest,
  PrunedVolumes,
  PruneVolumesOptions,
  RemoveVolumeOptions,
  Volume,
} from "./volumes/volumes.ts";

export interface EngineOptions {
  /** Where images and containers are kept: /var/lib/gantry for root. */
  readonly root?: string;
  /** Where the state of running containers is kept: /run/gantry for root. */
  readonly state?: string;
  readonly logger?: Logger;
  /** Path of gantry-executor; found beside the program or library unless told. */
  readonly executor?: string;
  /**
   * Program and first arguments of a `gantry internal`, which shims start where something is to be decided and nobody
   * is there: `exited ID` at the end of a container with `autoRemove` or a restart policy, `keep` for one with health
   * checks. Without it that is left to the next engine that looks, and to `keep`; compressed logs and syslog over TLS,
   * which need a process beside the shim, are refused.
   */
  readonly helper?: readonly string[];
  /**
   * The most that images, containers, logs and caches of the store may take of the disk together; 0 for no limit, and
   * what the settings say if it is left out.
   */
  readonly diskLimitBytes?: number;
  /** At the limit: refuse what is asked for (the default), or remove images without containers first. */
  readonly onDiskLimit?: "refuse" | "prune";
  readonly signal?: AbortSignal;
}

interface Cancellable {
  readonly signal?: AbortSignal;
}

export class Engine implements AsyncDisposable {
  readonly #internals: Internals;

  private constructor(internals: Internals) {
    this.#internals = internals;
  }

  /** Opens an engine. Touches nothing: folders come into being when something is put into them. */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    options.signal?.throwIfAborted();
    const { logger = silentLogger, signal: _, ...rest } = options;
    return new Engine(openInternals({ ...rest, logger }));
  }

  /** Makes a container and starts it; pulls the image if it is not here. */
  async run(request: RunRequest, options: CreateOptions = {}): Promise<Container> {
    const { runContainer } = await import("./containers/run.ts");
    return await runContainer(this.#internals, request, options);
  }

  /** Makes a container without starting it. */
  async create(request: CreateRequest, options: CreateOptions = {}): Promise<Container> {
    const { createContainer } = await import("./containers/create.ts");
    const { id, name } = await createContainer(this.#internals, request, options);
    return new Container(this.#internals, id, name);
  }

  /** A container by id, name, or the beginning of its id. */
  async container(nameOrId: string, options: Cancellable = {}): Promise<Container> {
    options.signal?.throwIfAborted();
    const { id, name } = this.#internals.containers.identify(nameOrId);
    return new Container(this.#internals, id, name);
  }

  /** Running containers, newest first; with `all` every one. */
  async containers(options: ListOptions = {}): Promise<readonly ContainerSummary[]> {
    const { listContainers } = await import("./containers/list.ts");
    return await listContainers(this.#internals, options);
  }

  /** Makes a pod, which holds nothing before it is started. */
  async createPod(request: PodRequest = {}, options: Cancellable = {}): Promise<Pod> {
    const [{ createPod }, { Pod }] = await Promise.all([
      import("./pods/create-pod.ts"),
      import("./pods/pod.ts"),
    ]);
    const { id, name } = await createPod(this.#internals, request, options);
    return new Pod(this.#internals, id, name);
  }

  /** A pod by id, name, or the beginning of its id. */
  async pod(nameOrId: string, options: Cancellable = {}): Promise<Pod> {
    options.signal?.throwIfAborted();
    const { Pod } = await import("./pods/pod.ts");
    const { id, name } = this.#internals.pods.identify(nameOrId);
    return new Pod(this.#internals, id, name);
  }

  /** Every pod, newest first. */
  async pods(options: Cancellable = {}): Promise<readonly PodInspection[]> {
    const { listPods } = await import("./pods/inspect-pod.ts");
    return await listPods(this.#internals, options);
  }

  /** Puts right what killed processes left: as every look at the lists does. */
  async recover(options: Cancellable = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await observeAll(this.#internals);
    const { observePods } = await import("./pods/observe-pod.ts");
    await observePods(this.#internals);
  }

  async pull(reference: string, options: PullImageOptions = {}): Promise<Image> {
    const { imageForContainer } = await import("./images/image-for-container.ts");
    const { policy = "always", platform, onProgress, ...rest } = options;
    await imageForContainer(
      this.#internals,
      { image: reference, pull: policy, platform },
      { ...rest, ...(onProgress ? { onPull: onProgress } : {}) },
    );
    return await openImage(this.#internals, reference, rest);
  }

  async images(options: Cancellable = {}): Promise<readonly Image[]> {
    return await listImages(this.#internals, options);
  }

  /** An image by name, id, or the beginning of its id. */
  async image(nameOrId: string, options: Cancellable = {}): Promise<Image> {
    return await openImage(this.#internals, nameOrId, options);
  }

  /** Makes an image of the tar of a root file system. */
  async importImage(tar: AsyncIterable<Uint8Array>, options: ImportOptions = {}): Promise<Image> {
    const { importImage } = await import("./images/import.ts");
    return await importImage(this.#internals, tar, options);
  }

  async removeImage(nameOrId: string, options: RemoveImageOptions = {}): Promise<RemovedImage> {
    const { removeImage } = await import("./images/remove.ts");
    return await removeImage(this.#internals, nameOrId, options);
  }

  /** Makes a volume; one of that name that is there already is handed back as it is. */
  async createVolume(request: CreateVolumeRequest = {}, options: Cancellable = {}): Promise<Volume> {
    const { createVolume } = await import("./volumes/volumes.ts");
    return await createVolume(this.#internals, request, options);
  }

  /** Every volume, by name. */
  async volumes(options: Cancellable = {}): Promise<readonly Volume[]> {
    const { listVolumes } = await import("./volumes/volumes.ts");
    return await listVolumes(this.#internals, options);
  }

  async volume(name: string, options: Cancellable = {}): Promise<Volume> {
    const { findVolume } = await import("./volumes/volumes.ts");
    return await findVolume(this.#internals, name, options);
  }

  /** Removes a volume that no container holds. */
  async removeVolume(name: string, options: RemoveVolumeOptions = {}): Promise<void> {
    const { removeVolume } = await import("./volumes/volumes.ts");
    await removeVolume(this.#internals, name, options);
  }

  /** Removes volumes that no container holds: those that nobody has named, or all. */
  async pruneVolumes(options: PruneVolumesOptions = {}): Promise<PrunedVolumes> {
    const { pruneVolumes } = await import("./volumes/volumes.ts");
    return await pruneVolumes(this.#internals, options);
  }

  /** What happens from now on, or from `since` on, to containers and images of the store, whoever does it. */
  events(options: ReadEventsOptions = {}): AsyncIterable<EngineEvent> {
    return this.#internals.events.read(options);
  }

  /** How much of the disk the store takes, and how much of that could be had back. */
  async diskUsage(options: Cancellable = {}): Promise<DiskUsage> {
    const { measureDiskUsage } = await import("./system/disk-usage.ts");
    return await measureDiskUsage(this.#internals, options);
  }

  /** Removes containers that do not run. */
  async pruneContainers(options: PruneOptions = {}): Promise<PrunedContainers> {
    const { pruneContainers } = await import("./system/prune.ts");
    return await pruneContainers(this.#internals, options);
  }

  /** Removes images without names or, with `all`, without containers; and what nothing needs any more. */
  async pruneImages(options: PruneImagesOptions = {}): Promise<PrunedImages> {
    const { pruneImages } = await import("./system/prune.ts");
    return await pruneImages(this.#internals, options);
  }

  /** Removes pods that are stopped, with their containers. */
  async prunePods(options: PruneOptions = {}): Promise<{ readonly deleted: readonly string[] }> {
    const { prunePods } = await import("./system/prune.ts");
    return await prunePods(this.#internals, options);
  }

  /** Looks at the machine and the store: what is missing, what a crash has left; `mend` removes the latter. */
  async examine(options: ExamineOptions = {}): Promise<readonly Finding[]> {
    const { examine } = await import("./doctor/examine.ts");
    return await examine(this.#internals, options);
  }

  async info(options: Cancellable = {}): Promise<EngineInfo> {
    options.signal?.throwIfAborted();
    const { engineInfo } = await import("./info.ts");
    return await engineInfo(this.#internals);
  }

  /** The runtime config and the plan of a run, which does not happen. */
  async explain(request: CreateRequest, options: Cancellable = {}): Promise<Explanation> {
    const { explainRun } = await import("./explain.ts");
    return await explainRun(this.#internals, request, options);
  }

  /**
   * Does what needs a clock for all containers of the store, whoever made them: restarts by policy, ends that nobody
   * saw. Resolves when `signal` aborts; already-exists if another process does it.
   */
  async keep(options: KeepOptions = {}): Promise<void> {
    const { keep } = await import("./keeper/keeper.ts");
    await keep(this.#internals, options);
  }

  /** Containers run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#internals.events[Symbol.dispose]();
    this.#internals.executors[Symbol.dispose]();
  }
}
