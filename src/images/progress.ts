/** What a pull tells while it runs; the words are those that docker prints for it. */
import type { Descriptor } from "../spec/descriptor.ts";
import type { Digest } from "../spec/digest.ts";

export type LayerPhase =
  | "Pulling fs layer"
  | "Downloading"
  | "Verifying Checksum"
  | "Download complete"
  | "Extracting"
  | "Pull complete"
  | "Already exists"
  | "Retrying";

export type PullEvent =
  /** The first event; both as docker shows them. */
  | { readonly kind: "resolving"; readonly repository: string; readonly reference: string }
  /** One step of one layer. `current` and `total` are compressed bytes while downloading and extracting. */
  | {
      readonly kind: "layer";
      readonly phase: LayerPhase;
      readonly layer: Descriptor;
      /** Place in the image, lowest first: the same layer may be there twice. */
      readonly index: number;
      readonly current?: number;
      readonly total?: number;
      /** Why, with "Retrying". */
      readonly reason?: string;
    }
  | { readonly kind: "warning"; readonly message: string }
  | { readonly kind: "digest"; readonly digest: Digest }
  /** The end: `changed` is false when the image was already complete here. */
  | { readonly kind: "status"; readonly changed: boolean; readonly reference: string };

export type OnPullEvent = (event: PullEvent) => void;

/** The shortest time between two counts of one layer. */
const countIntervalMs = 100;

/** Reports the steps of one layer; counts are thinned out, steps are not. */
export class LayerReporter {
  readonly #report: OnPullEvent | undefined;
  readonly #layer: Descriptor;
  readonly #index: number;
  #lastCountMs = 0;

  constructor(report: OnPullEvent | undefined, layer: Descriptor, index: number) {
    this.#report = report;
    this.#layer = layer;
    this.#index = index;
  }

  phase(phase: LayerPhase, reason?: string): void {
    const common = { kind: "layer", phase, layer: this.#layer, index: this.#index } as const;
    this.#report?.(reason === undefined ? common : { ...common, reason });
  }

  count(phase: "Downloading" | "Extracting", current: number): void {
    const nowMs = performance.now();
    if (!this.#report || nowMs - this.#lastCountMs < countIntervalMs) return;
    this.#lastCountMs = nowMs;
    this.#report({
      kind: "layer",
      phase,
      layer: this.#layer,
      index: this.#index,
      current,
      total: this.#layer.size,
    });
  }
}
