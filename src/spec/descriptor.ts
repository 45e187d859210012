/** The OCI content descriptor: what a blob is, its digest and its size (image-spec, descriptor.md). */
import { array, integer, object, optional, pattern, record, string } from "../base/decode.ts";
import { type Digest, digest } from "./digest.ts";
import { type Platform, platform } from "./platform.ts";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** The content itself, base64. */
  readonly data?: string;
  readonly artifactType?: string;
  readonly platform?: Platform;
}

/** image-spec, defs-descriptor.json; the type names are those of RFC 6838. */
export const mediaType = pattern(
  /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/,
  "a media type",
);

export const descriptor = object({
  mediaType,
  digest,
  size: integer(0),
  urls: optional(array(string, 100)),
  annotations: optional(record(string, 1000)),
  data: optional(string),
  artifactType: optional(mediaType),
  platform: optional(platform),
});
