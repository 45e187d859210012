/** What create, run and explain share: bundle -> config -> plan. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { wrapErrno } from "../base/error.ts";
import { readHostFacts } from "../host/facts.ts";
import { filterOf } from "../host/kept-filters.ts";
import { compileContainer } from "../plan/compile/container.ts";
import type { ContainerRequest, ForeignCgroups, OciMode } from "../plan/compile/request.ts";
import type { Plan } from "../plan/plan.ts";
import { parseRuntimeConfig, type RuntimeConfig } from "../spec/runtime-config.ts";
import { callerStreams, inheritedDescriptors, withListening, withNotifySocket } from "./caller-streams.ts";
import type { OciContext } from "./context.ts";
import type { PlanStreams } from "./execute-plan.ts";
import type { Flags, FlagTable } from "./flags.ts";

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
  "pidfd-socket": { kind: "text", help: "path to a socket that receives a pidfd of the container's process" },
  "preserve-fds": { kind: "text", help: "pass N additional file descriptors to the container" },
};

export interface Bundle {
  readonly path: string;
  /** config.json as it is. */
  readonly text: string;
  readonly config: RuntimeConfig;
}

export function readBundle(flags: Flags, named?: string): Bundle {
  const path = resolve(named ?? flags.text("bundle") ?? ".");
  const file = join(path, "config.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw wrapErrno(error, "open", file);
  }
  return { path, text, config: parseRuntimeConfig(text) };
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
  /** The plan is only looked at: there need be no terminal for it. */
  readonly explained?: boolean;
}

export interface Launch extends PlanStreams {
  readonly plan: Plan;
  /** To be made before the plan runs. */
  readonly notifyDirectory?: string | undefined;
}

export async function compileLaunch(
  context: OciContext,
  { id, state, bundle, flags, kind, explained, ...launch }: LaunchRequest,
): Promise<Launch> {
  const cgroups = context.cgroupManager === "disabled" ? ({ kind: "none" } as const) : launch.cgroups;
  const terminal = bundle.config.process?.terminal ?? false;
  const inherited = inheritedDescriptors(context.env, flags);
  const streams = await callerStreams(flags, terminal, kind !== "foreground", explained);
  const { config, notify } = withNotifySocket(context.env, state, bundle.config, kind === "foreground");
  const pidFile = flags.text("pid-file");
  const mode: OciMode = {
    kind: "oci",
    state,
    awaitStart: kind === "create",
    foreground: kind === "foreground",
    rootless: context.rootless,
    noPivot: flags.has("no-pivot"),
    noNewKeyring: flags.has("no-new-keyring"),
    ...(cgroups ? { cgroups } : {}),
    ...streams,
    preserveFds: inherited.count,
    listens: inherited.listening > 0,
    notify,
    keep: flags.has("keep"),
    ...(pidFile === undefined ? {} : { pidFile: resolve(pidFile) }),
  };
  const request: Omit<ContainerRequest, "filter"> = {
    id,
    config: withListening(config, inherited),
    bundle: bundle.path,
    facts: readHostFacts(),
    mode,
    warn: (message, pointer) => context.log.debug(message, { pointer }),
    verbose: context.debug,
  };
  const plan = compileContainer({
    ...request,
    filter: await filterOf(join(context.root, ".filters"), request),
  });
  return {
    plan,
    notifyDirectory: notify?.directory,
    preserveFds: inherited.count,
    terminal: streams.foregroundConsole !== undefined,
  };
}
