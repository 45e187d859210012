/** The config that a container was made with, kept in its state directory whatever becomes of the bundle. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { wrapErrno } from "../base/error.ts";
import { stateFiles } from "../plan/state-files.ts";
import { parseRuntimeConfig, type RuntimeConfig } from "../spec/runtime-config.ts";

/** `directory`: the container's, below --root. Once a container. */
export function storeConfig(directory: string, text: string): void {
  try {
    writeFileSync(join(directory, stateFiles.config), text, { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw wrapErrno(error, "store config", directory);
  }
}

export function readStoredConfig(directory: string): RuntimeConfig {
  const file = join(directory, stateFiles.config);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw wrapErrno(error, "read config", file);
  }
  return parseRuntimeConfig(text);
}
