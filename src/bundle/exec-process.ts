/** The process that an exec asks for: that of the container, with options over it, by Docker's rules. Pure. */
import { posix } from "node:path";
import { GantryError } from "../base/error.ts";
import type { Capability } from "../linux/capabilities.ts";
import type { RuntimeProcess } from "../spec/runtime-process.ts";
import { defaultTerm, mergeEnvironment } from "./command.ts";
import type { ResolvedUser } from "./user.ts";

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** What can be asked for when a further process is started in a container. What is left out is as in the container. */
export interface ExecOptions {
  /** "NAME=value" sets, "NAME" takes a variable of the container away. */
  readonly env?: readonly string[] | undefined;
  /** An absolute path. */
  readonly workingDirectory?: string | undefined;
  /** "name", "uid", "name:group", "uid:gid", by the container's own files. */
  readonly user?: string | undefined;
  /** Every capability that the engine has; the seccomp filter stays that of the container. */
  readonly privileged?: boolean | undefined;
  /** A terminal of the container's, of this size. */
  readonly terminal?: boolean | TerminalSize | undefined;
}

export interface ExecProcessInput {
  /** The container's own. */
  readonly process: RuntimeProcess;
  readonly args: readonly string[];
  readonly options: ExecOptions;
  /** What `options.user` stands for. */
  readonly user?: Pick<ResolvedUser, "uid" | "gid" | "additionalGids"> | undefined;
  /** What the engine holds. */
  readonly capabilities: readonly Capability[];
}

/** Of a user other than root only the bounding set says anything: the rest is lost at exec anyway. */
function capabilitiesOf({ process, options, capabilities: held }: ExecProcessInput, uid: number) {
  const bounding = options.privileged ? held : (process.capabilities?.bounding ?? []);
  if (uid === 0 || options.privileged) return { bounding, effective: bounding, permitted: bounding };
  return { bounding };
}

function directoryOf({ process, options }: ExecProcessInput): string {
  const asked = options.workingDirectory || process.cwd;
  if (!asked.startsWith("/"))
    throw new GantryError(
      "invalid-argument",
      `the working directory '${asked}' is invalid, it needs to be an absolute path`,
    );
  return posix.normalize(asked);
}

export function buildExecProcess(input: ExecProcessInput): RuntimeProcess {
  const { process, args, options } = input;
  const { terminal } = options;
  const { consoleSize: _, ...own } = process;
  const user = { ...own.user, ...input.user };
  return {
    ...own,
    args,
    terminal: Boolean(terminal),
    ...(typeof terminal === "object"
      ? { consoleSize: { height: terminal.rows, width: terminal.columns } }
      : {}),
    user,
    cwd: directoryOf(input),
    env: mergeEnvironment(terminal ? [defaultTerm] : [], own.env ?? [], options.env ?? []),
    capabilities: capabilitiesOf(input, user.uid ?? 0),
  };
}
