/**
 * The runtime configs in the folder of a container: config.json, by which it runs or has run last, and where a start
 * adds to what was created (devices of CDI specs) created.json, which each start begins with.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { wrapErrno } from "../../base/error.ts";
import { parseRuntimeConfig, type RuntimeConfig } from "../../spec/runtime-config.ts";
import { exactJson } from "../../spec/runtime-integers.ts";
import type { Internals } from "../internals.ts";

const names = ["config.json", "created.json"] as const;
type ConfigName = (typeof names)[number];

const pathOf = ({ containers }: Internals, id: string, name: ConfigName) =>
  join(containers.directory(id), name);

function read(path: string): RuntimeConfig {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw wrapErrno(error, "read runtime config", path);
  }
  return parseRuntimeConfig(bytes);
}

export function readRuntimeConfig(internals: Internals, id: string): RuntimeConfig {
  return read(pathOf(internals, id, "config.json"));
}

/** What a start is made of. */
export function readCreatedConfig(internals: Internals, id: string): RuntimeConfig {
  const created = pathOf(internals, id, "created.json");
  return existsSync(created) ? read(created) : readRuntimeConfig(internals, id);
}

export function writeRuntimeConfig(
  internals: Internals,
  id: string,
  config: RuntimeConfig,
  name: ConfigName = "config.json",
): void {
  writeFileAtomic(pathOf(internals, id, name), exactJson(config));
}

/** For now and for every later start. */
export function changeRuntimeConfigs(
  internals: Internals,
  id: string,
  change: (config: RuntimeConfig) => RuntimeConfig,
): void {
  for (const name of names) {
    const path = pathOf(internals, id, name);
    if (existsSync(path)) writeRuntimeConfig(internals, id, change(read(path)), name);
  }
}
