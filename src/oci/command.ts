/** The command line of the OCI runtime: global flags, verbs, and how an error is told. */
import { writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { readInUserNamespace } from "../host/user-namespace.ts";
import { runtimeSpecVersion } from "../spec/runtime-config.ts";
import { cgroupManagerOf } from "./cgroup-manager.ts";
import type { OciContext, Verb } from "./context.ts";
import { type Flags, type FlagTable, parseFlags, usageError } from "./flags.ts";
import { type OciLog, openLog } from "./log.ts";
import { failureText, type LogTarget, ociName, statusOf, verbIntro } from "./tell-failure.ts";

export const ociVersion = "0.1.0";

type Environment = Readonly<Record<string, string | undefined>>;

const globalFlags: FlagTable = {
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

/** Each verb's module is loaded when it is asked for. */
const verbs: Readonly<Record<string, () => Promise<Verb>>> = {
  checkpoint: async () => (await import("./verb-checkpoint.ts")).checkpoint,
  create: async () => (await import("./verbs-launch.ts")).create,
  delete: async () => (await import("./verbs-living.ts")).remove,
  events: async () => (await import("./verb-events.ts")).events,
  exec: async () => (await import("./verb-exec.ts")).exec,
  explain: async () => (await import("./verbs-telling.ts")).explain,
  features: async () => (await import("./verbs-telling.ts")).features,
  kill: async () => (await import("./verbs-living.ts")).kill,
  list: async () => (await import("./verbs-living.ts")).list,
  pause: async () => (await import("./verbs-freeze.ts")).pause,
  ps: async () => (await import("./verb-ps.ts")).ps,
  resume: async () => (await import("./verbs-freeze.ts")).resume,
  restore: async () => (await import("./verb-restore.ts")).restore,
  run: async () => (await import("./verbs-launch.ts")).run,
  spec: async () => (await import("./verbs-telling.ts")).spec,
  start: async () => (await import("./verb-start.ts")).start,
  state: async () => (await import("./verbs-living.ts")).state,
  update: async () => (await import("./verb-update.ts")).update,
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

function versionText(): string {
  return `${ociName} version ${ociVersion}\nspec: ${runtimeSpecVersion}\n`;
}

function flagLines(table: FlagTable): string {
  return Object.entries(table)
    .map(([name, { short, kind, help }]) => {
      const names = `--${name}${short ? `, -${short}` : ""}${kind === "switch" ? "" : " value"}`;
      return `   ${names.padEnd(28)}${help}\n`;
    })
    .join("");
}

async function helpText(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(verbs).map(async ([name, load]) => `   ${name.padEnd(12)}${(await load()).help}\n`),
  );
  return `NAME:\n   ${ociName} - Open Container Initiative runtime\n\nUSAGE:\n   ${ociName} [global options] command [command options] [arguments...]\n\nCOMMANDS:\n${lines.join("")}\nGLOBAL OPTIONS:\n${flagLines(globalFlags)}`;
}

function print(text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(1, rest));
}

async function findVerb(name: string): Promise<Verb> {
  const load = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (load) return await load();
  throw usageError(`No help topic for '${name}'`);
}

async function runVerb(name: string, argv: readonly string[], context: OciContext): Promise<number> {
  const verb = await findVerb(name);
  const flags = parseFlags(argv, { ...verb.flags, help: { kind: "switch", short: "h", help: "show help" } });
  if (flags.has("help")) {
    print(
      `NAME:\n   ${ociName} ${name} - ${verb.help}\n\nUSAGE:\n   ${ociName} ${verb.usage}\n\nOPTIONS:\n${flagLines(verb.flags)}`,
    );
    return 0;
  }
  const [least, most] = verb.arguments;
  if (flags.rest.length < least || flags.rest.length > most)
    throw usageError(
      `"${ociName} ${name}" requires ${
        least === most
          ? `exactly ${least} argument(s)`
          : `a minimum of ${least} argument(s)${most === Number.POSITIVE_INFINITY ? "" : ` and a maximum of ${most}`}`
      }`,
    );
  return await verb.run(context, flags);
}

function targetOf(flags: Flags | undefined): LogTarget {
  const format = flags?.text("log-format") ?? "text";
  if (format !== "text" && format !== "json") throw usageError(`invalid log-format: ${format}`);
  const file = flags?.text("log");
  return { format, ...(file ? { file: resolve(file) } : {}) };
}

/** The log of a command whose flags may be wrong themselves. */
function logOf(flags: Flags | undefined): OciLog {
  const debug = flags?.has("debug") ?? false;
  try {
    return openLog({ ...targetOf(flags), debug });
  } catch {
    return openLog({ format: "text", debug });
  }
}

/** Runs one command; the exit status is the result. For errors of the runtime itself it is what runc has. */
export async function runOciCommand(
  argv: readonly string[],
  env: Environment = process.env,
): Promise<number> {
  let flags: Flags | undefined;
  let name = "";
  try {
    flags = parseFlags(argv, globalFlags);
    name = flags.rest[0] ?? "";
    if (flags.has("version") || flags.has("help") || name === "" || name === "help") {
      print(flags.has("version") ? versionText() : await helpText());
      return 0;
    }
    const root = resolve(flags.text("root") ?? defaultRoot(env));
    if (root === "/") throw usageError("rejecting / as the root directory for storage of container state");
    const logTarget = targetOf(flags);
    return await runVerb(name, flags.rest.slice(1), {
      root,
      rootless: rootlessFlag(flags),
      log: openLog({ ...logTarget, debug: flags.has("debug") }).logger,
      logTarget,
      cgroupManager: cgroupManagerOf(flags),
      debug: flags.has("debug"),
      env,
      print,
    });
  } catch (error) {
    const launches = name === "create" || name === "run";
    logOf(flags).fatal(`${launches ? verbIntro(name) : ""}${failureText(error, name)}`);
    return statusOf(error);
  }
}
