/** What a pull tells while it runs; the words are those that docker prints for it. */
import type { Descriptor } from "../spec/descriptor.ts";
import type { Digest } from "../spec/digest.ts";

export type LayerPhase =
  | "Pulling fs layer"
  | "Waiting"
  | "Downloading"
  | "Verifying Checksum"
  | "Download complete"
  | "Extracting"
  | "Pull complete"
  | "Already exists"
  | "Retrying";

export type PullEvent =
  /** The reference is resolved; `familiar` is the repository as docker shows it. */
  | {
      readonly kind: "resolving";
      readonly reference: string;
      readonly familiar: string;
      readonly tag?: string;
    }
  /** One step of one layer. `current` and `total` are compressed bytes while downloading and extracting. */
  | {
      readonly kind: "layer";
      readonly phase: LayerPhase;
      readonly layer: Descriptor;
      readonly current?: number;
      readonly total?: number;
      /** Why, with "Retrying". */
      readonly reason?: string;
    }
  | { readonly kind: "digest"; readonly digest: Digest }
  /** The end: `changed` is false when the image was already complete here. */
  | { readonly kind: "status"; readonly changed: boolean; readonly reference: string };

export type OnPullEvent = (event: PullEvent) => void;
