/**
 * config.json of an OCI bundle (runtime-spec 1.3.0, Linux): decoded once, here, with limits and JSON
 * pointers. What only makes sense together with the host or with other members is judged by the plan
 * compiler.
 */
import {
  array,
  boolean,
  type Decoded,
  type Decoder,
  decodeJson,
  object,
  optional,
  record,
  refuse,
  string,
} from "../base/decode.ts";
import { GantryError } from "../base/error.ts";
import { runtimeHooks } from "./runtime-hooks.ts";
import { parseExactJson } from "./runtime-integers.ts";
import { runtimeLinux } from "./runtime-linux.ts";
import { runtimeMount } from "./runtime-mount.ts";
import { runtimeProcess } from "./runtime-process.ts";

/** The version that the types follow, and that `features` and `state` claim. */
export const runtimeSpecVersion = "1.3.0";
/** The oldest version that is understood. */
export const runtimeSpecVersionMin = "1.0.0";
/** Real configs with a full seccomp profile and hundreds of mounts stay under 1 MB. */
export const runtimeConfigLimitBytes = 8 * 1024 * 1024;

/** Semantic version of major 1; pre-releases such as 1.0.0-rc2-dev occur in practice. */
const ociVersion: Decoder<string> = (value, pointer) => {
  const text = string(value, pointer);
  const parts = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/.exec(text);
  if (!parts) refuse(pointer, `${JSON.stringify(text.slice(0, 100))} is not a semantic version`);
  if (parts[1] !== "1") refuse(pointer, `version ${text} is not supported: only 1.x is`);
  return text;
};

const annotations = (value: unknown, pointer: string) => {
  const result = record(string, 10_000)(value, pointer);
  if (Object.hasOwn(result, "")) refuse(pointer, "the key of an annotation must not be empty");
  return result;
};

export const runtimeConfig = object({
  ociVersion,
  root: optional(object({ path: string, readonly: optional(boolean) })),
  process: optional(runtimeProcess),
  hostname: optional(string),
  domainname: optional(string),
  mounts: optional(array(runtimeMount, 10_000)),
  hooks: optional(runtimeHooks),
  annotations: optional(annotations),
  linux: optional(runtimeLinux),
});

export type RuntimeConfig = Decoded<typeof runtimeConfig>;

/** Parses the text of a config.json. */
export function parseRuntimeConfig(text: string | Uint8Array): RuntimeConfig {
  return parseRuntimeJson(text, runtimeConfig, "config.json");
}

/** Parses another document made of the same types, such as the process file of `exec`. */
export function parseRuntimeJson<T>(text: string | Uint8Array, decoder: Decoder<T>, what: string): T {
  let source: string;
  try {
    source = typeof text === "string" ? text : new TextDecoder("utf-8", { fatal: true }).decode(text);
  } catch (cause) {
    throw new GantryError("invalid-argument", `parse ${what}: not UTF-8 text`, { cause });
  }
  return decodeJson(source, decoder, what, runtimeConfigLimitBytes, parseExactJson);
}
