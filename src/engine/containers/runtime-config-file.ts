/** The config.json of a container's bundle. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { wrapErrno } from "../../base/error.ts";
import { parseRuntimeConfig, type RuntimeConfig } from "../../spec/runtime-config.ts";
import type { Internals } from "../internals.ts";

export function readRuntimeConfig(internals: Internals, id: string): RuntimeConfig {
  const path = join(internals.containers.directory(id), "config.json");
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw wrapErrno(error, "read runtime config", path);
  }
  return parseRuntimeConfig(bytes);
}
