/** What stands before the verb, and what it means for it. */
import { join, resolve } from "node:path";
import { readInUserNamespace } from "../host/user-namespace.ts";
import { cgroupManagerOf } from "./cgroup-manager.ts";
import type { OciSettings } from "./context.ts";
import { type Flags, type FlagTable, usageError } from "./flags.ts";
import { type LogTarget, ociName } from "./tell-failure.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export const globalFlags: FlagTable = {
  root: { kind: "text", help: "root directory for storage of container state" },
  log: { kind: "text", help: "set the log file to write logs to (default: stderr)" },
  "log-format": { kind: "text", help: "set the log format: text or json" },
  debug: { kind: "switch", help: "enable debug logging" },
  "systemd-cgroup": {
    kind: "switch",
    help: 'enable systemd cgroup support; cgroupsPath is "slice:prefix:name" then',
  },
  "cgroup-manager": { kind: "text", help: "crun's flag: cgroupfs, systemd or disabled" },
  rootless: { kind: "text", help: "ignore cgroup permission errors: true, false or auto (default)" },
  version: { kind: "switch", short: "v", help: "print the version" },
  help: { kind: "switch", short: "h", help: "show help" },
};

/** root of a user namespace that somebody else made is a user too, whatever it is called. */
function isHostRoot(env: Environment): boolean {
  return process.geteuid?.() === 0 && !(readInUserNamespace() && env.USER !== "root");
}

function defaultRoot(env: Environment): string {
  return env.XDG_RUNTIME_DIR && !isHostRoot(env) ? join(env.XDG_RUNTIME_DIR, ociName) : `/run/${ociName}`;
}

function rootlessFlag(flags: Flags): boolean | undefined {
  const text = flags.text("rootless") ?? "auto";
  if (text === "auto") return undefined;
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw usageError(`invalid value ${JSON.stringify(text)} for flag -rootless: true, false or auto`);
}

export function logTargetOf(flags: Flags | undefined): LogTarget {
  const format = flags?.text("log-format") ?? "text";
  if (format !== "text" && format !== "json") throw usageError(`invalid log-format: ${format}`);
  const file = flags?.text("log");
  return { format, ...(file ? { file: resolve(file) } : {}) };
}

export function settingsOf(flags: Flags, env: Environment): OciSettings {
  const root = resolve(flags.text("root") ?? defaultRoot(env));
  if (root === "/") throw usageError("rejecting / as the root directory for storage of container state");
  return {
    root,
    rootless: rootlessFlag(flags),
    logTarget: logTargetOf(flags),
    cgroupManager: cgroupManagerOf(flags),
    debug: flags.has("debug"),
  };
}
