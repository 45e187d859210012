/** What is asked of another OCI runtime, verb by verb, and where its things lie. */
import { join } from "node:path";
import type { Step } from "../plan.ts";
import { stateFiles } from "../state-files.ts";
import type { ForeignRuntime } from "./request.ts";
import { masterRegister } from "./terminal.ts";

/** Places in the state directory of a container; that of an exec has the log, the pid file and the process alone. */
export const foreignPlaces = {
  bundle: (state: string) => join(state, stateFiles.bundle),
  root: (state: string) => join(state, stateFiles.bundle, "rootfs"),
  namespaces: (state: string) => join(state, "ns"),
  mounts: (state: string) => join(state, "mounts"),
  log: (state: string) => join(state, stateFiles.runtimeLog),
  pid: (state: string) => join(state, stateFiles.runtimePid),
  process: (state: string) => join(state, stateFiles.runtimeProcess),
  resources: (state: string) => join(state, stateFiles.resources),
} as const;

/** The whole of `create`; all others have less to do. */
const timeoutMs = 120_000;

export interface RuntimeCall {
  readonly directory?: string | undefined;
  /** Registers for 0, 1 and 2. */
  readonly stdio?: readonly (string | undefined)[] | undefined;
}

/** One verb of a runtime, which says in a log in `state` what it has to say. */
export function runtimeStep(
  runtime: ForeignRuntime,
  state: string,
  verb: readonly string[],
  { directory = "", stdio = [] }: RuntimeCall = {},
): Step {
  const global = ["--root", runtime.root, "--log", foreignPlaces.log(state), "--log-format", "json"];
  return {
    op: "run-runtime",
    where: "",
    phrase: `OCI runtime ${verb[0]} failed`,
    path: runtime.path,
    args: [runtime.path, ...global, ...verb],
    env: runtime.env,
    directory,
    stdin: stdio[0],
    stdout: stdio[1],
    stderr: stdio[2],
    timeoutMs,
  };
}

const consoleRegister = "console socket";
const consoleWhere = "/process/terminal";
const consolePhrase = "unable to setup the console";

/** A verb that makes a process, whose terminal, if it has one, becomes the shim's. */
export function launchSteps(
  runtime: ForeignRuntime,
  state: string,
  verb: (options: readonly string[]) => readonly string[],
  call: Required<RuntimeCall> & { readonly terminal: boolean },
): { readonly before: readonly Step[]; readonly launch: Step; readonly after: readonly Step[] } {
  const { terminal, directory } = call;
  // a relative path: the whole one may be longer than an address of a socket (unix(7))
  const options = ["--pid-file", foreignPlaces.pid(state)].concat(
    terminal ? ["--console-socket", stateFiles.consoleSocket] : [],
  );
  const launch = runtimeStep(runtime, state, verb(options), call);
  if (!terminal) return { before: [], launch, after: [] };
  const common = { where: consoleWhere, phrase: consolePhrase };
  const name = stateFiles.consoleSocket;
  return {
    before: [{ op: "listen-console", ...common, dir: directory, name, fd: consoleRegister }],
    launch,
    after: [{ op: "accept-console", ...common, socket: consoleRegister, fd: masterRegister }],
  };
}
