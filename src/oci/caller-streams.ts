/** What the caller of create and run hands over: a console, sockets, descriptors, a service manager that waits. */
import { chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { errnoWords } from "../linux/errno.ts";
import type { OciMode } from "../plan/compile/request.ts";
import { stateFiles } from "../plan/state-files.ts";
import type { RuntimeConfig } from "../spec/runtime-config.ts";
import { type Flags, numberFlag } from "./flags.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The process that the caller started: the entry that has started this one, where there is one. */
function commandPid(env: Environment): number {
  return env.GANTRY_PLAN_FD === undefined ? process.pid : process.ppid;
}

/** runc's rules for consoles, in its words. */
function checkConsole(terminal: boolean, detached: boolean, socket: string | undefined): void {
  if (terminal && detached && !socket)
    throw new GantryError(
      "invalid-argument",
      "cannot allocate tty if runc will detach without setting console socket",
    );
  if ((!terminal || !detached) && socket)
    throw new GantryError(
      "invalid-argument",
      "cannot use console socket if runc will not detach or allocate tty",
    );
}

/** What stands for /dev/tty where a standard stream stands for itself. */
const controllingTerminal = 3;

/** The terminal to relay to: any of the standard streams, since others may be redirected, else /dev/tty. */
async function findTerminal(explained: boolean): Promise<number> {
  if (explained) return controllingTerminal;
  const { isatty } = await import("node:tty");
  const stream = [2, 1, 0].find((fd) => isatty(fd));
  if (stream !== undefined) return stream;
  try {
    closeSync(openSync("/dev/tty", constants.O_RDWR | constants.O_NOCTTY));
  } catch (error) {
    throw new GantryError("failed-precondition", `open /dev/tty: ${errnoWords(errnoOf(error) ?? "")}`, {
      cause: error,
    });
  }
  return controllingTerminal;
}

/** Console and pidfd, as members of the plan's request. */
export type CallerStreams = Pick<OciMode, "consoleSocket" | "foregroundConsole" | "pidfdSocket">;

/** `explained`: the plan is only looked at. */
export async function callerStreams(
  flags: Flags,
  terminal: boolean,
  detached: boolean,
  explained = false,
): Promise<CallerStreams> {
  const consoleSocket = flags.text("console-socket") || undefined;
  const pidfdSocket = flags.text("pidfd-socket") || undefined;
  checkConsole(terminal, detached, consoleSocket);
  return {
    consoleSocket: consoleSocket && resolve(consoleSocket),
    pidfdSocket: pidfdSocket && resolve(pidfdSocket),
    foregroundConsole: terminal && !detached ? await findTerminal(explained) : undefined,
  };
}

export interface InheritedDescriptors {
  /** How many from 3 on the program gets. */
  readonly count: number;
  /** How many of them, the first ones, come from a service manager. */
  readonly listening: number;
}

/** What the JavaScript runtime opens for itself before any of this runs, and so puts into the first holes. */
const ownDescriptors = new Set(["anon_inode:[eventpoll]", "anon_inode:[eventfd]"]);

/** False for a hole, also for one that something of this program has slipped into. */
function isInherited(fd: number): boolean {
  try {
    const ours = ownDescriptors.has(readlinkSync(`/proc/self/fd/${fd}`));
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
    // what came through an exec was not close-on-exec, though the runtime may have made it so since
    return !(ours && (Number.parseInt(flags, 8) & 0o2000000) !== 0);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw wrapErrno(error, "look at descriptor", String(fd));
  }
}

/** Sockets of a service manager are meant for the process that LISTEN_PID names (sd_listen_fds(3)). */
function listeningCount(env: Environment): number {
  const count = env.LISTEN_FDS ?? "";
  return env.LISTEN_PID === String(commandPid(env)) && /^\d{1,6}$/.test(count) ? Number(count) : 0;
}

/** Descriptors from 3 on: first those of LISTEN_FDS, then those of --preserve-fds. */
export function inheritedDescriptors(env: Environment, flags: Flags): InheritedDescriptors {
  const preserved = numberFlag(flags, "preserve-fds");
  const listening = listeningCount(env);
  for (let index = 0; index < listening + preserved; index++) {
    const fd = 3 + index;
    if (isInherited(fd)) continue;
    const what =
      index < listening
        ? `LISTEN_FDS ${index} (of ${listening})`
        : `preserved-fd ${index - listening} (of ${preserved})`;
    throw new GantryError(
      "invalid-argument",
      `unable to stat ${what}: stat /proc/self/fd/${fd}: ${errnoWords("ENOENT")}`,
    );
  }
  return { count: listening + preserved, listening };
}

/** The config with more in the environment of its program, which comes last and so wins. */
function withEnvironment(config: RuntimeConfig, entries: readonly string[]): RuntimeConfig {
  const { process } = config;
  return process ? { ...config, process: { ...process, env: [...(process.env ?? []), ...entries] } } : config;
}

/** LISTEN_PID is set when the pid is known. */
export function withListening(config: RuntimeConfig, { listening }: InheritedDescriptors): RuntimeConfig {
  return listening > 0 ? withEnvironment(config, [`LISTEN_FDS=${listening}`]) : config;
}

/** Where the container finds the socket at which it says that it is ready. */
const notifyDestination = "/run/notify";

/** The directory of the socket, which the container sees whoever it runs as. */
export function makeNotifyDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o755 });
    chmodSync(directory, 0o755);
  } catch (error) {
    throw wrapErrno(error, "make notify directory", directory);
  }
}

/**
 * Where a service manager waits for us (NOTIFY_SOCKET), the container gets a socket of its own in a directory of
 * its own: what is said there is checked before it goes on. `run` listens itself; after `create` it is `start`.
 */
export function withNotifySocket(
  env: Environment,
  state: string,
  config: RuntimeConfig,
  foreground: boolean,
): { readonly config: RuntimeConfig; readonly notify?: OciMode["notify"] } {
  const manager = env.NOTIFY_SOCKET;
  if (!manager) return { config };
  const directory = join(state, stateFiles.notify);
  const mount = {
    destination: notifyDestination,
    source: directory,
    options: ["bind", "nosuid", "noexec", "nodev", "ro"],
  };
  return {
    config: withEnvironment({ ...config, mounts: [...(config.mounts ?? []), mount] }, [
      `NOTIFY_SOCKET=${join(notifyDestination, stateFiles.notifySocket)}`,
    ]),
    // in the foreground the command stays, so it is the one to watch
    notify: { directory, manager, mainPid: foreground ? commandPid(env) : undefined },
  };
}
