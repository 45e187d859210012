/** What lies beside a layer (`layer.json`) and a snapshot (`snapshot.json`): written once, read by all processes. */
import { array, type Decoded, integer, object, oneOf, optional, string } from "../base/decode.ts";
import { readRecordFile } from "../base/record-file.ts";
import { digest } from "../spec/digest.ts";

export const layerRecordForm = object({
  chainId: digest,
  parentChainId: optional(digest),
  diffId: optional(digest),
  createdAt: string,
  /** Boot during which the layer was unpacked: without a `synced` mark it is trusted in that boot only. */
  bootId: string,
  entries: integer(0),
  sizeBytes: integer(0),
  /** Directories, as byte strings, that hide what lower layers have in them; "" is the root. */
  opaque: array(string),
  /** Directories, as byte strings, whose attributes are those of the layers below. */
  implied: array(string),
});

export type LayerRecord = Decoded<typeof layerRecordForm>;

export const snapshotRecordForm = object({
  key: string,
  kind: oneOf("active", "view"),
  parent: optional(digest),
  createdAt: string,
});

export type SnapshotRecord = Decoded<typeof snapshotRecordForm>;

/** A layer may name every directory that it has. */
const recordLimitBytes = 512 * 1024 * 1024;

/** The record in a layer's directory; undefined if there is no layer. */
export function readLayerRecord(directory: string): LayerRecord | undefined {
  const form = { decoder: layerRecordForm, what: "layer record", limitBytes: recordLimitBytes };
  return readRecordFile(`${directory}/layer.json`, form);
}

export function readSnapshotRecord(directory: string): SnapshotRecord | undefined {
  const form = { decoder: snapshotRecordForm, what: "snapshot record", limitBytes: 1024 * 1024 };
  return readRecordFile(`${directory}/snapshot.json`, form);
}
