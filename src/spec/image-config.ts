/**
 * The image configuration (OCI image-spec config.md, with Docker's additions): what to run by default
 * and which layers make the root file system.
 */
import {
  array,
  boolean,
  type Decoded,
  decodeJson,
  integer,
  object,
  oneOf,
  optional,
  pattern,
  record,
  string,
} from "../base/decode.ts";
import { type Digest, digest } from "./digest.ts";
import type { Platform } from "./platform.ts";

/** Configs carry history and labels; real ones of 1 MB exist. */
export const imageConfigLimitBytes = 8 * 1024 * 1024;

/** A Go map[string]struct{}: only the keys matter. */
const keySet = record((value: unknown) => value, 10_000);

const healthcheck = object({
  Test: optional(array(string)),
  /** Nanoseconds; 0 means inherit. */
  Interval: optional(integer(0)),
  Timeout: optional(integer(0)),
  StartPeriod: optional(integer(0)),
  StartInterval: optional(integer(0)),
  Retries: optional(integer(0)),
});

/** The `config` member: defaults for containers made from the image. Docker's names are kept as they are on the wire. */
const execution = object({
  User: optional(string),
  ExposedPorts: optional(keySet),
  Env: optional(array(string)),
  Entrypoint: optional(array(string)),
  Cmd: optional(array(string)),
  Volumes: optional(keySet),
  WorkingDir: optional(string),
  Labels: optional(record(string)),
  StopSignal: optional(string),
  ArgsEscaped: optional(boolean),
  Healthcheck: optional(healthcheck),
  Shell: optional(array(string)),
  OnBuild: optional(array(string)),
});

const time = pattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i, "an RFC 3339 time");

const history = object({
  created: optional(time),
  author: optional(string),
  created_by: optional(string),
  comment: optional(string),
  empty_layer: optional(boolean),
});

const shape = object({
  created: optional(time),
  author: optional(string),
  architecture: string,
  variant: optional(string),
  os: string,
  "os.version": optional(string),
  "os.features": optional(array(string, 100)),
  config: optional(execution),
  rootfs: object({ type: oneOf("layers"), diff_ids: array(digest, 1000) }),
  history: optional(array(history, 10_000)),
});

export type ImageHealthcheck = Decoded<typeof healthcheck>;
export type ImageExecution = Decoded<typeof execution>;
export type ImageHistory = Decoded<typeof history>;
export type ImageConfig = Decoded<typeof shape>;

export function decodeImageConfig(bytes: Uint8Array | string): ImageConfig {
  return decodeJson(bytes, shape, "image config", imageConfigLimitBytes);
}

export function platformOf(imageConfig: ImageConfig): Platform {
  const { os, architecture, variant } = imageConfig;
  return { os, architecture, ...(variant ? { variant } : {}) };
}

/** The digests of the uncompressed layers, lowest first. */
export function diffIdsOf(imageConfig: ImageConfig): readonly Digest[] {
  return imageConfig.rootfs.diff_ids;
}
