/**
 * The program's terminal and standard streams, for the first process of a container and for those that join it. The
 * child makes the terminal in the container's own devpts and hands its master to the host side, which keeps it as the
 * shim, sends it to a console socket or relays it itself.
 */
import type { RuntimeProcess } from "../../spec/runtime-process.ts";
import type { Step } from "../plan.ts";
import type { EngineMode, ExecMode, OciMode } from "./request.ts";

const where = "/process/terminal";
const phrase = "unable to setup the console";
/** Registers: the slave in the child; the master and the connection to who wants it on the host side. */
const slaveRegister = "terminal";
export const masterRegister = "master of terminal";
const consoleSocketRegister = "console socket";
export const pidfdSocketRegister = "pidfd socket";

/** What runc names the file whose descriptor it sends. */
const masterName = "/dev/ptmx";
/** Number of a descriptor for /dev/tty or for nothing, where 0, 1 and 2 are the caller's. */
const noDescriptor = 3;

export type Streams = Pick<OciMode, "consoleSocket" | "foregroundConsole" | "foreground">;

/** Before the clone: a socket that nobody listens at fails before anything is made. */
export function connectSocket(host: Step[], path: string | undefined, fd: string): void {
  if (path !== undefined)
    host.push({ op: "connect-socket", where: "", phrase: `dial unix ${path}`, path, fd });
}

export function connectConsole(host: Step[], { consoleSocket }: Streams): void {
  connectSocket(host, consoleSocket, consoleSocketRegister);
}

/** After the clone: of the host's descriptors the child keeps none. */
export function forgetConsole(child: Step[], { consoleSocket }: Streams): void {
  if (consoleSocket !== undefined) child.push({ op: "close", where: "", fd: consoleSocketRegister });
}

export interface TerminalPlace {
  /** The register of the root; nothing is the root of the process, for who has joined a container. */
  readonly root: string | undefined;
  /** Path at which the terminal shows as well; "" for none. */
  readonly console: string;
}

/** In the child, when mounts and devices are there and the root can still be written to. */
export function openTerminal(
  child: Step[],
  process: RuntimeProcess,
  { foregroundConsole }: Streams,
  { root, console }: TerminalPlace,
): void {
  if (!process.terminal) return;
  child.push({
    op: "open-terminal",
    where,
    phrase,
    root,
    console,
    rows: process.consoleSize?.height ?? 0,
    columns: process.consoleSize?.width ?? 0,
    like: Math.min(foregroundConsole ?? noDescriptor, noDescriptor),
    uid: process.user?.uid ?? 0,
    // the terminal outside adds the carriage returns
    plain: foregroundConsole === undefined ? 0 : 1,
    fd: slaveRegister,
  });
}

/** On the host side, in the order in which the child sends. */
export function receiveTerminal(host: Step[], process: RuntimeProcess, streams: Streams): void {
  if (!process.terminal) return;
  host.push({ op: "receive-terminal", where, phrase, fd: masterRegister });
  sendTerminal(host, streams);
}

/** The master goes to the console socket, where there is one. */
export function sendTerminal(host: Step[], streams: Streams): void {
  if (streams.consoleSocket === undefined) return;
  host.push({
    op: "send-descriptor",
    where,
    phrase,
    socket: consoleSocketRegister,
    payload: masterName,
    descriptor: masterRegister,
  });
  // the receiver's is the only one left: when that goes, the terminal hangs up
  host.push({ op: "close", where, fd: masterRegister });
}

/** The operands of attend-child that relay the terminal. */
export function relayedTerminal({ foregroundConsole }: Streams) {
  const terminal = foregroundConsole === undefined ? undefined : masterRegister;
  return { console: foregroundConsole ?? noDescriptor, terminal } as const;
}

/** Which inherited streams own-stdio gives away. */
export const streamKinds = { pipes: 1, all: 2 } as const;

/**
 * In the child, before its privileges go: the terminal on 0, 1 and 2; else inherited streams become the user's,
 * who may want to open /dev/stdout. runc lays pipes of its own around a program in the foreground, so files
 * and terminals stay the caller's there.
 */
export function takeStdio(
  child: Step[],
  process: RuntimeProcess,
  mode: EngineMode | OciMode | ExecMode,
): void {
  if (process.terminal) {
    child.push({ op: "take-terminal", where, phrase, fd: slaveRegister });
    return;
  }
  // a shim has given its pipes away when it made them
  if (mode.kind === "engine" || (mode.kind === "exec" && mode.shim)) return;
  child.push({
    op: "own-stdio",
    where: "/process/user/uid",
    phrase: "unable to set stdio permissions",
    uid: process.user?.uid ?? 0,
    kinds: mode.foreground ? streamKinds.pipes : streamKinds.all,
  });
}
