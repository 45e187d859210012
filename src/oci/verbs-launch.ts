/** create, run and start. */
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, GantryError } from "../base/error.ts";
import { findExecutor } from "../launch/executor.ts";
import { runPlan } from "../launch/launch.ts";
import { stateFiles } from "../plan/compile/life.ts";
import type { OciContext, Verb } from "./context.ts";
import type { Flags } from "./flags.ts";
import { runStateHooks } from "./hooks.ts";
import { compileLaunch, launchFlags, readBundle } from "./launch-container.ts";
import {
  isAlive,
  makeStateDirectory,
  type OciContainer,
  readContainer,
  removeStateDirectory,
  type StateFile,
} from "./state-directory.ts";

async function launch(
  context: OciContext,
  flags: Flags,
  kind: "create" | "foreground" | "detached",
): Promise<number> {
  const id = flags.rest[0]!;
  const bundle = readBundle(flags);
  const state = makeStateDirectory(context.root, id);
  let launched = false;
  try {
    const plan = compileLaunch(context, { id, state, bundle, flags, kind });
    const stop = kind === "foreground" ? forwardSignals(state) : undefined;
    try {
      const { status = 0 } = await runPlan(plan, {
        executor: findExecutor(),
        stdio: ["inherit", "inherit", "inherit"],
      });
      launched = kind !== "foreground";
      if (kind === "foreground")
        runStateHooks(
          context,
          bundle.config.hooks?.poststop ?? [],
          {
            id,
            status: "stopped",
            pid: 0,
            bundle: bundle.path,
            annotations: bundle.config.annotations ?? {},
          },
          "log",
        );
      return status;
    } finally {
      stop?.();
    }
  } finally {
    if (!launched) removeStateDirectory(state);
  }
}

const forwarded = [
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGCONT",
] as const;

/** Signals for this command are meant for the container. */
function forwardSignals(state: string): () => void {
  const handlers = forwarded.map((signal) => {
    const handler = () => {
      try {
        const { pid, pidStart } = JSON.parse(readFileSync(join(state, stateFiles.oci), "utf8")) as StateFile;
        if (isAlive({ pid, pidStart })) process.kill(pid, signal);
      } catch {
        // not there yet, or not any more: there is nobody to tell
      }
    };
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  return () => {
    for (const remove of handlers) remove();
  };
}

export const create: Verb = {
  usage: "create [flags] <container-id>",
  help: "create a container",
  flags: launchFlags,
  arguments: [1, 1],
  run: (context, flags) => launch(context, flags, "create"),
};

export const run: Verb = {
  usage: "run [flags] <container-id>",
  help: "create and run a container",
  flags: {
    ...launchFlags,
    detach: { kind: "switch", short: "d", help: "detach from the container's process" },
    keep: { kind: "switch", help: "do not delete the container after it exits" },
    "no-subreaper": { kind: "switch", help: "accepted for runc's callers; no subreaper is ever used" },
  },
  arguments: [1, 1],
  run: (context, flags) => launch(context, flags, flags.has("detach") ? "detached" : "foreground"),
};

const startDeadlineMs = 10_000;

/** Sleeps without an event loop turn: what is waited for takes some tens of microseconds. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/**
 * Opens the fifo to read, which lets the program go on; it answers with one byte. The death of the
 * program is noticed, so that `start` cannot hang.
 */
function releaseProgram(container: OciContainer): void {
  const path = join(container.directory, stateFiles.fifo);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const deadline = Date.now() + startDeadlineMs;
    const answer = Buffer.alloc(1);
    for (let waitMs = 0.05; ; waitMs = Math.min(waitMs * 2, 20)) {
      try {
        if (readSync(fd, answer) === 1) break;
      } catch (error) {
        if (errnoOf(error) !== "EAGAIN") throw error;
      }
      if (!isAlive(container))
        throw new GantryError("failed-precondition", "cannot start an already stopped container");
      if (Date.now() > deadline)
        throw new GantryError("deadline-exceeded", "start container: its process does not answer");
      pause(waitMs);
    }
  } finally {
    closeSync(fd);
  }
  unlinkSync(path);
}

export const start: Verb = {
  usage: "start <container-id>",
  help: "executes the user defined process in a created container",
  flags: {},
  arguments: [1, 1],
  run(context, flags) {
    const container = readContainer(context.root, flags.rest[0]!);
    if (container.status === "stopped")
      throw new GantryError("failed-precondition", "cannot start a container that has stopped");
    if (!existsSync(join(container.directory, stateFiles.fifo)))
      throw new GantryError("failed-precondition", "cannot start an already running container");
    releaseProgram(container);
    const { id, pid, bundle, annotations } = container;
    runStateHooks(
      context,
      container.hooks.poststart ?? [],
      { id, status: "running", pid, bundle, annotations },
      "throw",
    );
    return 0;
  },
};
