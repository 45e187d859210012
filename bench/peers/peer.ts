/** What the benchmark asks of another engine, and what several of them share. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { Scope } from "../../src/base/scope.ts";
import { command, must } from "../../test/lib/command.ts";
import { until } from "../../test/lib/until.ts";

/** How an engine is set up, where that is not the usual way. */
export interface PeerOptions {
  /** In memory, as /run is: what the engine keeps of running containers. */
  readonly volatile?: string;
  /** Path of the OCI runtime that it calls. */
  readonly runtime?: string;
  /** What stands before every command line of it: the way into a mount namespace, or to another user. */
  readonly enter?: readonly string[];
  /** Further flags of its daemon. */
  readonly flags?: readonly string[];
}

/** An engine that is ready to work: its daemon runs, if it has one, and it has the busybox image. */
export interface Engine extends AsyncDisposable {
  readonly name: string;
  /** What every command line of it starts with. */
  readonly cli: readonly string[];
  /** Environment for all commands of this engine. */
  readonly env: Readonly<Record<string, string>>;
  /** The busybox image by its name there. */
  readonly image: string;
  /** Kills the named daemon of it ("dockerd", "containerd") and starts it again. */
  readonly restart?: (daemon: string) => Promise<void>;
}

export interface LoggedCommands {
  readonly run: readonly string[];
  readonly wait: readonly string[];
  readonly logs: readonly string[];
}

/** The commands of docker, podman and gantry, which are the same. */
export function dockerLike(cli: readonly string[], image: string) {
  const network = ["--network", "none"];
  return {
    exec: (name: string, program: readonly string[]) => [...cli, "exec", name, ...program],
    runAttached: (name: string, program: readonly string[]) => [
      ...[...cli, "run", "--rm", "--name", name, ...network],
      ...["--log-driver", "none", image, ...program],
    ],
    list: [...cli, "ps"],
    stats: [...cli, "stats", "--no-stream"],
    life: (name: string) => [
      [...cli, "create", "--name", name, ...network, image, "sleep", "1000"],
      [...cli, "start", name],
      [...cli, "stop", "--time", "0", name],
      [...cli, "rm", name],
    ],
    logged: (name: string, program: readonly string[]) => ({
      run: [...cli, "run", "--detach", "--name", name, ...network, image, ...program],
      wait: [...cli, "wait", name],
      logs: [...cli, "logs", name],
    }),
  };
}

/** What the benchmark asks of one. */
export interface Peer extends Engine {
  /** Matches the command line of the processes that the engine keeps beside a container. */
  readonly monitor: RegExp;
  /** Matches that of its daemons, if it has any. */
  readonly daemon?: RegExp;
  /** Start `true` in a container without network, wait, remove; the engine's own shortest way. */
  runTrue(): readonly string[];
  /** Starts a container that sleeps, detached. */
  startIdle(name: string): Promise<void>;
  removeIdle(name: string): Promise<void>;
  /** A program in a container that startIdle has started. */
  exec(name: string, program: readonly string[]): readonly string[];
  /** A program whose output comes to the caller; the container goes with it. */
  runAttached(name: string, program: readonly string[]): readonly string[];
  /** Lists what runs, and what it uses; undefined where the engine has no such command. */
  readonly list: readonly string[];
  readonly stats: readonly string[] | undefined;
  /** One container through its life, a command a step; undefined where the engine has no such steps. */
  life(name: string): readonly (readonly string[])[] | undefined;
  /** A program that logs, detached, until it ends; then what it has logged. Undefined where nothing is logged. */
  logged(name: string, program: readonly string[]): LoggedCommands | undefined;
  /** Pulls an image from a plain HTTP registry on loopback. */
  pull(reference: string): Promise<void>;
  /** Removes what was pulled, blobs and layers, so that the next pull is cold. */
  forget(reference: string): Promise<void>;
}

/** Makes something out of several acquired parts: the scope is released when the result is, or at once on failure. */
export async function owning<T extends object>(
  make: (scope: Scope) => Promise<T>,
): Promise<T & AsyncDisposable> {
  const scope = new Scope();
  const release = () => scope[Symbol.asyncDispose]();
  try {
    return { ...(await make(scope)), [Symbol.asyncDispose]: release };
  } catch (error) {
    await release();
    throw error;
  }
}

export interface Daemon {
  stop(): Promise<void>;
  /** Kills it at once and starts it again; back when it answers. */
  restart(): Promise<void>;
}

/** Starts a daemon, its log in `dir`; ends it by its own pid. */
export async function startDaemon(
  argv: readonly string[],
  dir: string,
  ready: () => Promise<boolean>,
): Promise<Daemon> {
  let running = await startOnce(argv, dir, ready);
  return {
    stop: () => running.end("SIGTERM"),
    async restart() {
      await running.end("SIGKILL");
      running = await startOnce(argv, dir, ready);
    },
  };
}

async function startOnce(
  argv: readonly string[],
  dir: string,
  ready: () => Promise<boolean>,
): Promise<{ end(signal: "SIGTERM" | "SIGKILL"): Promise<void> }> {
  const [program = "", ...args] = argv;
  const log = openSync(join(dir, "daemon.log"), "a");
  const child: ChildProcess = spawn(program, args, { stdio: ["ignore", log, log] });
  closeSync(log);
  const exited = new Promise<void>((resolve) => {
    child.on("exit", () => resolve());
    child.on("error", () => resolve());
  });
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await exited;
    clearTimeout(timer);
  };
  try {
    await until(
      `${program} to be ready`,
      async () => {
        if (child.exitCode !== null)
          throw new Error(`${program} ended:\n${lastLines(join(dir, "daemon.log"))}`);
        return await ready();
      },
      30_000,
    );
  } catch (error) {
    await end("SIGTERM");
    throw error;
  }
  return { end };
}

export function lastLines(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(-15).join("\n") : "";
}

/** Unmounts what an engine left mounted below its folder, innermost first. */
export async function unmountBelow(dir: string): Promise<void> {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${dir}/`));
  for (const point of points.reverse()) await command(["umount", "-l", point]);
}

/** Removes an engine's own parent groups ("libpod_parent", "docker", …) where they hold nothing any more. */
export function removeGroups(name: string): void {
  const hierarchies = ["/sys/fs/cgroup", ...folders("/sys/fs/cgroup")];
  for (const hierarchy of hierarchies) removeTree(join(hierarchy, name));
}

function removeTree(path: string): void {
  if (!existsSync(path)) return;
  for (const child of folders(path)) removeTree(child);
  try {
    rmdirSync(path);
  } catch {
    // Somebody else uses an engine of the same kind: the group is theirs.
  }
}

function folders(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(path, entry.name));
}

/**
 * crun 1.8 refuses a hybrid layout whose v2 tree has the hugetlb controller: mounting it as v1 takes it away from
 * there. Undone at the end; does nothing where it is not needed.
 */
export async function hugetlbAsV1(): Promise<AsyncDisposable> {
  const point = "/sys/fs/cgroup/hugetlb";
  const v2 = "/sys/fs/cgroup/unified/cgroup.controllers";
  const needed = existsSync(v2) && readFileSync(v2, "utf8").includes("hugetlb");
  if (!needed) return { async [Symbol.asyncDispose]() {} };
  mkdirSync(point, { recursive: true });
  try {
    await must(["mount", "-t", "cgroup", "-o", "hugetlb", "cgroup", point]);
  } catch (error) {
    // what an engine has made there while nothing was mounted stays, and is not the news
    if (readdirSync(point).length === 0) rmdirSync(point);
    throw error;
  }
  return {
    async [Symbol.asyncDispose]() {
      // all that is in it came with our mount
      for (const path of groupsBelow(point)) rmdirSync(path);
      await until("the v1 hierarchy to be gone", () => unmountHierarchy(point, "hugetlb"), 20_000);
      rmdirSync(point);
    },
  };
}

/** Every group below one, the deepest first. */
function groupsBelow(path: string): string[] {
  return folders(path).flatMap((child) => [...groupsBelow(child), child]);
}

/**
 * True when the controller is free again, which takes a moment. A hierarchy that is unmounted while the last of its
 * groups is dying stays where nobody can reach it, and engines stumble over it: then it is mounted once more, for the
 * next try.
 */
async function unmountHierarchy(point: string, controller: string): Promise<boolean> {
  await must(["umount", point]);
  const free = () => new RegExp(`^${controller}\\t0\\t`, "m").test(readFileSync("/proc/cgroups", "utf8"));
  try {
    return await until("the controller to be free", free, 1000);
  } catch {
    await must(["mount", "-t", "cgroup", "-o", controller, "cgroup", point]);
    return false;
  }
}
