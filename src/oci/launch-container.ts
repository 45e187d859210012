/** What create, run and explain share: bundle -> config -> plan. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { GantryError, wrapErrno } from "../base/error.ts";
import { readHostFacts } from "../host/facts.ts";
import { compileContainer } from "../plan/compile/container.ts";
import type { ForeignCgroups, OciMode } from "../plan/compile/request.ts";
import type { Plan } from "../plan/plan.ts";
import { parseRuntimeConfig, type RuntimeConfig } from "../spec/runtime-config.ts";
import type { OciContext } from "./context.ts";
import { type Flags, type FlagTable, numberFlag } from "./flags.ts";

export const launchFlags: FlagTable = {
  bundle: {
    kind: "text",
    short: "b",
    help: "path to the root of the bundle directory, defaults to the current directory",
  },
  "console-socket": { kind: "text", help: "path to a socket that receives the master end of the console" },
  "pid-file": { kind: "text", help: "file to write the process id to" },
  "no-pivot": {
    kind: "switch",
    help: "do not use pivot root to jail the process inside the root file system",
  },
  "no-new-keyring": { kind: "switch", help: "do not create a new session keyring for the container" },
  "preserve-fds": { kind: "text", help: "pass N additional file descriptors to the container" },
};

export interface Bundle {
  readonly path: string;
  /** config.json as it is. */
  readonly text: string;
  readonly config: RuntimeConfig;
}

export function readBundle(flags: Flags): Bundle {
  const path = resolve(flags.text("bundle") ?? ".");
  const file = join(path, "config.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw wrapErrno(error, "open", file);
  }
  return { path, text, config: parseRuntimeConfig(text) };
}

/** runc's rules for consoles; what is asked for rightly is not there yet. */
function checkConsole(flags: Flags, config: RuntimeConfig, detached: boolean): void {
  const terminal = config.process?.terminal ?? false;
  const socket = flags.text("console-socket");
  if (terminal && detached && !socket)
    throw new GantryError(
      "invalid-argument",
      "cannot allocate tty if runc will detach without setting console socket",
    );
  if (!terminal && socket)
    throw new GantryError(
      "invalid-argument",
      "cannot use console socket if runc will not detach or allocate tty",
    );
  if (terminal) throw new GantryError("unimplemented", "/process/terminal: a terminal is not supported yet");
}

export interface LaunchRequest {
  readonly id: string;
  readonly state: string;
  readonly bundle: Bundle;
  readonly flags: Flags;
  /** create; or run, in the foreground or detached. */
  readonly kind: "create" | "foreground" | "detached";
  /** Where systemd makes the container's unit. */
  readonly cgroups?: ForeignCgroups | undefined;
}

export function compileLaunch(context: OciContext, request: LaunchRequest): Plan {
  const { id, state, bundle, flags, kind } = request;
  const cgroups = context.cgroupManager === "disabled" ? ({ kind: "none" } as const) : request.cgroups;
  checkConsole(flags, bundle.config, kind !== "foreground");
  if (numberFlag(flags, "preserve-fds") > 0)
    throw new GantryError("unimplemented", "--preserve-fds: further descriptors are not supported yet");
  const pidFile = flags.text("pid-file");
  const mode: OciMode = {
    kind: "oci",
    state,
    awaitStart: kind === "create",
    foreground: kind === "foreground",
    noPivot: flags.has("no-pivot"),
    noNewKeyring: flags.has("no-new-keyring"),
    ...(cgroups ? { cgroups } : {}),
    ...(pidFile === undefined ? {} : { pidFile: resolve(pidFile) }),
  };
  return compileContainer({
    id,
    config: bundle.config,
    bundle: bundle.path,
    facts: readHostFacts(),
    mode,
    warn: (message, pointer) => context.log.debug(message, { pointer }),
    verbose: context.debug,
  });
}
