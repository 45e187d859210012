/** The config that a container was made with, kept in its state directory whatever becomes of the bundle. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { stateFiles } from "../plan/state-files.ts";
import { parseRuntimeConfig, parseRuntimeJson, type RuntimeConfig } from "../spec/runtime-config.ts";
import { linuxResources, type RuntimeResources } from "../spec/runtime-resources.ts";

/** `directory`: the container's, below --root. Once a container. */
export function storeConfig(directory: string, text: string): void {
  try {
    writeFileSync(join(directory, stateFiles.config), text, { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw wrapErrno(error, "store config", directory);
  }
}

/** From now on these are the container's resources; the config itself stays as it was. */
export function storeResources(directory: string, resources: RuntimeResources): void {
  writeFileAtomic(join(directory, stateFiles.resources), `${JSON.stringify(resources)}\n`);
}

function readStored(directory: string, name: string): string | undefined {
  const file = join(directory, name);
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && name === stateFiles.resources) return undefined;
    throw wrapErrno(error, "read config", file);
  }
}

/** The resources of `linux.resources`, from text. */
export function parseResources(text: string, what: string): RuntimeResources {
  return parseRuntimeJson(text, linuxResources, what);
}

/** With the resources that the last `update` left. */
export function readStoredConfig(directory: string): RuntimeConfig {
  const config = parseRuntimeConfig(readStored(directory, stateFiles.config)!);
  const updated = readStored(directory, stateFiles.resources);
  if (updated === undefined) return config;
  return { ...config, linux: { ...config.linux, resources: parseResources(updated, stateFiles.resources) } };
}
