/** What a pull needs and what may be asked of it. */
import type { ContentStore } from "../content/content-store.ts";
import type { Registry } from "../registry/registry.ts";
import type { Platform } from "../spec/platform.ts";
import type { ImageStore } from "./image-store.ts";
import type { LayerApplier } from "./layer-applier.ts";
import type { Leases } from "./leases.ts";
import type { OnPullEvent } from "./progress.ts";

export interface ImageDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly layers: LayerApplier;
  readonly leases: Leases;
}

export interface PullDeps extends ImageDeps {
  readonly registry: Registry;
}

/** always: ask the registry; missing: only if the image is not here; never: not-found if it is not here. */
export type PullPolicy = "always" | "missing" | "never";

export interface UnpackLimits {
  /** Uncompressed bytes of one layer at most; default 64 GiB. */
  readonly layerBytes?: number;
  /** Uncompressed bytes per compressed byte at most, asked above the first 64 MiB; default 1100, above what gzip can do. */
  readonly ratio?: number;
}

export interface PullOptions {
  /** Default: what this machine is. */
  readonly platform?: Platform;
  /** Layers at once; default 3, as docker. */
  readonly concurrency?: number;
  readonly limits?: UnpackLimits;
  readonly onProgress?: OnPullEvent;
  readonly signal?: AbortSignal;
}
