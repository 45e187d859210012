/**
 * What an administrator says once for every program: /etc/gantry/gantry.json, for other users
 * $XDG_CONFIG_HOME/gantry/gantry.json; GANTRY_SETTINGS names another file.
 *
 *     { "diskLimit": "20g", "onDiskLimit": "prune", "runtimes": { "kata": "/usr/bin/kata-runtime" } }
 */
import { join } from "node:path";
import { checked, type Decoded, object, oneOf, optional, pattern, record, refuse } from "../base/decode.ts";
import { readRecordFile } from "../base/record-file.ts";

const size = checked(pattern(/^[1-9]\d{0,15}[kmgt]?$/i, 'a size such as "20g"'), (text, pointer) => {
  if (!Number.isSafeInteger(sizeBytes(text))) refuse(pointer, "is too large");
});

const form = object({
  /** Bytes that images, containers, logs and caches may take together; units are powers of 1024. */
  diskLimit: optional(size),
  /** What happens at the limit: what was asked for is refused (the default), or images without containers go first. */
  onDiskLimit: optional(oneOf("refuse", "prune")),
  /** OCI runtimes by the name that `--runtime` takes. */
  runtimes: optional(record(pattern(/^\//, "an absolute path"), 100)),
});

export type Settings = Decoded<typeof form>;

/** Bytes of `20g`. */
export function sizeBytes(text: string): number {
  const unit = { k: 1, m: 2, g: 3, t: 4 }[text.at(-1)!.toLowerCase()] ?? 0;
  return Number.parseInt(text, 10) * 1024 ** unit;
}

export function settingsPath(env: NodeJS.ProcessEnv = process.env): string {
  if (env.GANTRY_SETTINGS) return env.GANTRY_SETTINGS;
  if (process.getuid?.() === 0) return "/etc/gantry/gantry.json";
  return join(env.XDG_CONFIG_HOME || join(env.HOME || "/", ".config"), "gantry/gantry.json");
}

/** Nothing is set where there is no file. */
export function readSettings(path: string = settingsPath()): Settings {
  return readRecordFile(path, { decoder: form, what: "settings", limitBytes: 1024 * 1024 }) ?? {};
}
