/** The command line of the OCI runtime: global flags, verbs, and how an error is told. */
import { writeSync } from "node:fs";
import { runtimeSpecVersion } from "../spec/runtime-config.ts";
import type { OciContext, Verb } from "./context.ts";
import { type Flags, type FlagTable, parseFlags, usageError } from "./flags.ts";
import { type Environment, globalFlags, logTargetOf, settingsOf } from "./global-flags.ts";
import { type OciLog, openLog } from "./log.ts";
import { failureText, ociName, statusOf, verbIntro } from "./tell-failure.ts";

export const ociVersion = "0.1.0";

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

/** The log of a command whose flags may be wrong themselves. */
function logOf(flags: Flags | undefined): OciLog {
  const debug = flags?.has("debug") ?? false;
  try {
    return openLog({ ...logTargetOf(flags), debug });
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
    const settings = settingsOf(flags, env);
    return await runVerb(name, flags.rest.slice(1), {
      ...settings,
      log: openLog({ ...settings.logTarget, debug: settings.debug }).logger,
      argv,
      env,
      print,
    });
  } catch (error) {
    const launches = name === "create" || name === "run";
    logOf(flags).fatal(`${launches ? verbIntro(name) : ""}${failureText(error, name)}`);
    return statusOf(error);
  }
}
