/** What exec and explain share: a container that runs, and flags -> the plan of a further process in it. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { GantryError } from "../base/error.ts";
import { readHostFacts } from "../host/facts.ts";
import { filterOf } from "../host/kept-filters.ts";
import { compileExec } from "../plan/compile/exec.ts";
import type { ExecMode, ExecRequest } from "../plan/compile/request.ts";
import type { Plan } from "../plan/plan.ts";
import { type CallerStreams, callerStreams } from "./caller-streams.ts";
import type { OciContext } from "./context.ts";
import { subCgroups } from "./exec-cgroups.ts";
import { execProcess, processFlags } from "./exec-process.ts";
import type { PlanStreams } from "./execute-plan.ts";
import { type Flags, type FlagTable, numberFlag } from "./flags.ts";
import { type OciContainer, readContainer } from "./state-directory.ts";
import { readExecConfig } from "./stored-config.ts";
import { readStoredFilter } from "./stored-filter.ts";

export const execFlags: FlagTable = {
  ...processFlags,
  "console-socket": { kind: "text", help: "path to a socket that receives the master end of the console" },
  "pidfd-socket": { kind: "text", help: "path to a socket that receives a pidfd of the process" },
  detach: { kind: "switch", short: "d", help: "detach from the process" },
  "pid-file": { kind: "text", help: "file to write the process id to" },
  "preserve-fds": { kind: "text", help: "pass N additional file descriptors to the process" },
  cgroup: { kind: "texts", help: "run the process in a sub-cgroup: [controller:]path" },
  "ignore-paused": { kind: "switch", help: "allow exec in a paused container" },
};

export interface Exec extends PlanStreams {
  readonly plan: Plan;
}

function checkStatus({ status }: OciContainer, ignorePaused: boolean): void {
  const refuse = (message: string) => {
    throw new GantryError("failed-precondition", message);
  };
  if (status === "stopped") refuse("cannot exec in a stopped container");
  if (status === "creating") refuse("cannot exec in a container that is still being created");
  if (status === "paused" && !ignorePaused)
    refuse("cannot exec in a paused container (use --ignore-paused to override)");
}

/** Undefined where init has ended just now: the plan says so then. */
function cgroupsOfInit(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8");
  } catch {
    return undefined;
  }
}

function modeOf(
  context: OciContext,
  container: OciContainer,
  flags: Flags,
): Omit<ExecMode, keyof CallerStreams> {
  const pidFile = flags.text("pid-file");
  const sub = flags.texts("cgroup");
  const { pid, pidStart, cgroups } = container;
  return {
    kind: "exec",
    init: { pid, start: pidStart },
    // whoever names a cgroup means that one, wherever init is
    ...(sub.length > 0
      ? { cgroups: subCgroups(cgroups, sub) }
      : { cgroups, initCgroups: cgroupsOfInit(pid) }),
    foreground: !flags.has("detach"),
    preserveFds: numberFlag(flags, "preserve-fds"),
    noNewKeyring: container.noNewKeyring,
    // the entry names it when the plan runs, so that it can be kept for the next call
    ...(pidFile ? { pidFile: context.env.GANTRY_LATE_PID_FILE ? "late" : resolve(pidFile) } : {}),
  };
}

/** `explained`: the plan is only looked at, so there need be no terminal for it. */
export async function compileExecOf(context: OciContext, flags: Flags, explained = false): Promise<Exec> {
  const [id, ...args] = flags.rest as readonly [string, ...string[]];
  const container = readContainer(context.root, id);
  checkStatus(container, flags.has("ignore-paused"));
  const stored = readStoredFilter(container.directory);
  const config = readExecConfig(container.directory, stored === undefined);
  const process = execProcess(flags, config, args);
  const streams = await callerStreams(flags, process.terminal ?? false, flags.has("detach"), explained);
  const mode = { ...modeOf(context, container, flags), ...streams };
  const request: Omit<ExecRequest, "filter"> = {
    id,
    config: { ...config, process },
    bundle: container.bundle,
    facts: readHostFacts(),
    mode,
    warn: (message, pointer) => context.log.debug(message, { pointer }),
    verbose: context.debug,
  };
  const filter = stored ? stored.filter : await filterOf(join(context.root, ".filters"), request);
  const plan = compileExec({ ...request, filter });
  return { plan, preserveFds: mode.preserveFds, terminal: mode.foregroundConsole !== undefined };
}
