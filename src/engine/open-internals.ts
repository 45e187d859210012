/** Puts the parts of an engine together, each when it is first needed. */
import { resolve } from "node:path";
import type { Logger } from "../base/log.ts";
import { DiskContentStore } from "../content/disk-store.ts";
import { readHostFacts } from "../host/facts.ts";
import { ImageStore } from "../images/image-store.ts";
import { Leases } from "../images/leases.ts";
import { findExecutor } from "../launch/executor.ts";
import { ExecutorSupply } from "../launch/executor-supply.ts";
import type { HostFacts } from "../plan/host-facts.ts";
import { ContainerStore } from "./containers/container-store.ts";
import { EventLog } from "./events.ts";
import type { Internals } from "./internals.ts";
import { PodStore } from "./pods/pod-store.ts";
import { readSettings, sizeBytes } from "./settings.ts";
import { defaultPlaces, storeLayout } from "./store-layout.ts";
import type { DiskLimit } from "./system/disk-limit.ts";

export interface OpenOptions {
  readonly root?: string;
  readonly state?: string;
  readonly logger: Logger;
  readonly executor?: string;
  readonly helper?: readonly string[];
  readonly diskLimitBytes?: number;
  readonly onDiskLimit?: "refuse" | "prune";
}

export function openInternals(options: OpenOptions): Internals {
  const places = defaultPlaces();
  const layout = storeLayout(resolve(options.root ?? places.root), resolve(options.state ?? places.state));
  const once = <T>(make: () => T): (() => T) => {
    let made: { readonly value: T } | undefined;
    return () => {
      made ??= { value: make() };
      return made.value;
    };
  };
  const executor = once(() => findExecutor(options.executor));
  const settings = once(readSettings);
  const snapshots = {
    directory: layout.snapshots,
    executor,
    ...(process.getuid?.() === 0 ? {} : { unprivileged: true }),
  };
  return {
    layout,
    logger: options.logger,
    containers: new ContainerStore(layout),
    pods: new PodStore(layout),
    events: new EventLog(layout.events),
    content: new DiskContentStore(layout.content),
    images: new ImageStore(layout.images),
    leases: new Leases(layout.leases),
    helper: options.helper,
    settings,
    diskLimit: once<DiskLimit | undefined>(() => {
      const { diskLimit, onDiskLimit } = settings();
      const bytes = options.diskLimitBytes ?? (diskLimit === undefined ? undefined : sizeBytes(diskLimit));
      return bytes ? { bytes, prunes: (options.onDiskLimit ?? onDiskLimit) === "prune" } : undefined;
    }),
    hostFacts: once<HostFacts>(readHostFacts),
    executor,
    executors: new ExecutorSupply(executor),
    snapshotter: once(async () => {
      const { OverlaySnapshotter } = await import("../snapshots/overlay.ts");
      return new OverlaySnapshotter(snapshots);
    }),
    async openLayers() {
      const { OverlayLayers } = await import("../snapshots/overlay-layers.ts");
      return new OverlayLayers(snapshots);
    },
  };
}
