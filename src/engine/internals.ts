/** What the verbs of the engine work with. Made by engine.ts; each part comes into being when it is first used. */

import { join } from "node:path";
import { isGantryError } from "../base/error.ts";
import { lockFile, tryLockFile } from "../base/lock.ts";
import type { Logger } from "../base/log.ts";
import type { ContentStore } from "../content/content-store.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { LayerApplier, LayerCollector } from "../images/layer-applier.ts";
import type { Leases } from "../images/leases.ts";
import type { ExecutorSupply } from "../launch/executor-supply.ts";
import type { HostFacts } from "../plan/host-facts.ts";
import type { Snapshotter } from "../snapshots/snapshotter.ts";
import type { ContainerStore } from "./containers/container-store.ts";
import type { EventLog } from "./events.ts";
import type { PodStore } from "./pods/pod-store.ts";
import type { Settings } from "./settings.ts";
import { makePrivateDirectory, type StoreLayout } from "./store-layout.ts";
import type { DiskLimit } from "./system/disk-limit.ts";

export interface Internals {
  readonly layout: StoreLayout;
  readonly logger: Logger;
  readonly containers: ContainerStore;
  readonly pods: PodStore;
  readonly events: EventLog;
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly leases: Leases;
  /** The program, with its first arguments, that shims start where something is to be decided: `gantry internal`. */
  readonly helper: readonly string[] | undefined;
  /** What the administrator has said. */
  settings(): Settings;
  /** The cap on what the store takes of the disk, if there is one. */
  diskLimit(): DiskLimit | undefined;
  hostFacts(): HostFacts;
  /** Path of the executor. */
  executor(): string;
  /** Started ones. */
  readonly executors: ExecutorSupply;
  /** Root file systems of containers; looking at lists needs none. */
  snapshotter(): Promise<Snapshotter>;
  /** Unpacks and removes layers; disposed when that is over. */
  openLayers(): Promise<Layers>;
}

/** `sweep` removes what dead processes and power cuts have left. */
export type Layers = LayerApplier & LayerCollector & AsyncDisposable & { sweep(): Promise<void> };

/** Whoever changes the record or the life of a container holds its lock. */
export async function lockContainer(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Disposable> {
  return tryLockContainer(internals, id) ?? (await lockFile(join(internals.layout.locks, id), options));
}

/** Takes the lock of a container, unless somebody alive has it. */
export function tryLockContainer(internals: Internals, id: string): Disposable | undefined {
  const { locks } = internals.layout;
  try {
    return tryLockFile(join(locks, id));
  } catch (error) {
    if (!isGantryError(error, "not-found")) throw error;
    makePrivateDirectory(locks);
    return tryLockFile(join(locks, id));
  }
}
