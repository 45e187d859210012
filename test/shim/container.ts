/** The smallest thing that a shim can watch: a program in a pid namespace of its own, on the host's root. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findExecutor } from "../../src/launch/executor.ts";
import type { LaunchOptions } from "../../src/launch/launch.ts";
import { type Plan, type Step, type SyncPoint, syncPoints } from "../../src/plan/plan.ts";
import { readyPlan } from "../../src/plan/ready-plan.ts";
import { type StartedTask, startTask } from "../../src/tasks/start-task.ts";

export const logFormats = { none: 0, json: 1, cri: 2 } as const;

export interface ContainerOptions {
  readonly stdin?: boolean;
  /** A terminal of the host's devpts in place of pipes. */
  readonly terminal?: boolean;
  /** Shares the host's pids: what it leaves behind lives on. */
  readonly hostPids?: boolean;
  readonly format?: keyof typeof logFormats;
  readonly limitBytes?: number;
  readonly files?: number;
  readonly stopSignal?: number;
  /** Points at which the controller is asked before the program may begin. */
  readonly syncs?: readonly SyncPoint[];
  readonly log?: string;
  readonly cleanup?: readonly Step[];
  readonly cgroups?: readonly { readonly mount: string; readonly path: string }[];
  /** Of the first of them: which version of cgroups freezes it. */
  readonly freezer?: 1 | 2;
}

const newPids = 0x20000000;

const terminalSteps: readonly Step[] = [
  {
    op: "open-terminal",
    where: "",
    root: undefined,
    console: "",
    ...{ rows: 24, columns: 80, like: 3, uid: 0, plain: 0 },
    fd: "terminal",
  },
  { op: "take-terminal", where: "", fd: "terminal" },
];

/** The plan of a container that runs `args`, with records, log and socket in `dir`. */
export function planFor(dir: string, args: readonly string[], options: ContainerOptions = {}): Plan {
  const where = "";
  const cgroups = options.cgroups ?? [];
  const terminal = options.terminal ?? false;
  const stdin = options.stdin ? "in" : undefined;
  const stdio: Step = { op: "set-stdio", where, stdin, stdout: "out", stderr: "err", null: 0 };
  const pipe = (read: string, write: string): Step => ({ op: "make-pipe", where, read, write });
  return {
    host: [
      {
        op: "open-shim",
        where,
        socket: join(dir, "shim.sock"),
        log: options.log ?? join(dir, "log"),
        format: logFormats[options.format ?? "json"],
        limitBytes: options.limitBytes ?? 0,
        files: options.files ?? 1,
      },
      ...(options.stdin ? [pipe("in", "shim in")] : []),
      ...(terminal ? [] : [pipe("shim out", "out"), pipe("shim err", "err")]),
      ...cgroups.map(
        ({ mount, path }, index): Step => ({
          op: "make-cgroup",
          where,
          mount,
          path,
          init: 0,
          dir: `cgroup${index}`,
        }),
      ),
      { op: "clone", where, namespaces: options.hostPids ? 0 : newPids, cgroup: undefined },
      ...cgroups.map((_, index): Step => ({ op: "move-child", where, dir: `cgroup${index}` })),
      ...(options.stdin ? [{ op: "close", where, fd: "in" } as const] : []),
      ...(terminal ? [] : ["out", "err"].map((fd): Step => ({ op: "close", where, fd }))),
      {
        op: "record-start",
        where,
        dir,
        name: "start.json",
        record: `${JSON.stringify({ cgroups }).slice(0, -1)},"pid":@PID@,"pidStart":@START@,"shim":@SHIM@,"shimStart":@SHIMSTART@,"startedAt":"@TIME@"}`,
      },
      ...(options.syncs ?? []).map((point): Step => ({ op: "sync", where, point: syncPoints[point] })),
      { op: "tell-child", where, step: 1 },
      ...(terminal ? [{ op: "receive-terminal", where, fd: "master" } as const] : []),
      { op: "await-exec", where },
      { op: "report", where, point: syncPoints.started },
      {
        op: "supervise",
        where,
        stdin: options.stdin ? "shim in" : undefined,
        stdout: terminal ? undefined : "shim out",
        stderr: terminal ? undefined : "shim err",
        terminal: terminal ? "master" : undefined,
        stopSignal: options.stopSignal ?? 15,
        cgroup: cgroups.length > 0 ? "cgroup0" : undefined,
        freezer: options.freezer ?? 0,
      },
    ],
    child: [
      { op: "await-host", where, step: 1 },
      { op: "new-session", where },
      ...(terminal ? terminalSteps : [stdio]),
      { op: "find-program", where, name: args[0]!, directories: ["/usr/bin", "/bin"] },
      { op: "close-descriptors", where, keep: 0 },
      { op: "exec", where, args, env: ["PATH=/usr/bin:/bin"] },
    ],
    cleanup: [
      { op: "kill-child", where },
      ...cgroups.map(({ mount, path }): Step => ({ op: "remove-cgroup", where, mount, path })),
      ...(options.cleanup ?? []),
      {
        op: "record-exit",
        where,
        dir,
        name: "exit.json",
        record: `{"code":@CODE@,"signal":@SIGNAL@,"oom":@OOM@,"logBytesLost":@LOST@,"finishedAt":"@TIME@"}`,
      },
    ],
  };
}

/** A folder for one test; `async using`-free, since Node 22 runs these tests too. */
export async function withDir<T>(body: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "gantry-shim-"));
  try {
    return await body(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Starts `args` as a container whose run-time directory is `dir`. */
export async function start(
  dir: string,
  args: readonly string[],
  options: ContainerOptions & Pick<LaunchOptions, "attach" | "onSync" | "signal"> = {},
): Promise<StartedTask> {
  mkdirSync(dir, { recursive: true });
  return await startTask(readyPlan(planFor(dir, args, options)), dir, {
    executor: findExecutor(),
    ...(options.attach ? { attach: options.attach } : {}),
    ...(options.onSync ? { onSync: options.onSync } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
}
