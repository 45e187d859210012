/** start: lets the program of a created container go on. */
import { closeSync, constants, existsSync, openSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, GantryError } from "../base/error.ts";
import { stateFiles } from "../plan/state-files.ts";
import type { OciContext, Verb } from "./context.ts";
import { runStateHooks } from "./hooks.ts";
import { isAlive, type OciContainer, readContainer } from "./state-directory.ts";

const startDeadlineMs = 10_000;
const alreadyRunning = "cannot start an already running container";

/** Sleeps without an event loop turn: what is waited for takes some tens of microseconds. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function hasAnswered(fifo: number): boolean {
  try {
    return readSync(fifo, Buffer.alloc(1)) === 1;
  } catch (error) {
    if (errnoOf(error) !== "EAGAIN") throw error;
    return false;
  }
}

/**
 * Opens the fifo to read, which lets the process go on; it answers with one byte. The death of the
 * process is noticed, so that `start` cannot hang.
 */
function releaseProgram(container: OciContainer): void {
  const path = join(container.directory, stateFiles.fifo);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const deadline = Date.now() + startDeadlineMs;
    for (let waitMs = 0.05; ; waitMs = Math.min(waitMs * 2, 20)) {
      const alive = isAlive(container);
      // after that look: a short program may have answered and ended by now
      if (hasAnswered(fd)) break;
      if (!alive) throw new GantryError("failed-precondition", "cannot start an already stopped container");
      // another `start` had the answer, and has taken the fifo away
      if (!existsSync(path)) throw new GantryError("failed-precondition", alreadyRunning);
      if (Date.now() > deadline)
        throw new GantryError("deadline-exceeded", "start container: its process does not answer");
      pause(waitMs);
    }
    rmSync(path, { force: true });
    awaitProgram(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * The fifo closes when the process becomes its program, and so not before the startContainer hooks are over; what comes
 * through it till then is why it did not. A process that dies without a word ends it too: whoever waits is told.
 */
function awaitProgram(fd: number): void {
  const words = Buffer.alloc(4096);
  let reason = "";
  for (let waitMs = 0.05; ; waitMs = Math.min(waitMs * 2, 20)) {
    try {
      const length = readSync(fd, words);
      if (length === 0) break;
      reason += words.toString("utf8", 0, length);
    } catch (error) {
      if (errnoOf(error) !== "EAGAIN") throw error;
      pause(waitMs);
    }
  }
  if (reason !== "") throw new GantryError("failed-precondition", reason.trimEnd());
}

/** With a socket that `create` has put into the container `start` stays until the program is ready. */
async function release({ env }: OciContext, container: OciContainer): Promise<void> {
  const manager = env.NOTIFY_SOCKET;
  if (!manager || !existsSync(join(container.directory, stateFiles.notify))) return releaseProgram(container);
  const { releaseNotified } = await import("./release-notified.ts");
  await releaseNotified(container, manager, () => releaseProgram(container));
}

export const start: Verb = {
  usage: "start <container-id>",
  help: "executes the user defined process in a created container",
  flags: {},
  arguments: [1, 1],
  async run(context, flags) {
    const container = readContainer(context.root, flags.rest[0]!);
    if (container.status === "stopped")
      throw new GantryError("failed-precondition", "cannot start a container that has stopped");
    if (container.status === "creating")
      throw new GantryError("failed-precondition", "cannot start a container that is still being created");
    // a program that stands still takes no leave to go on
    if (container.status === "paused")
      throw new GantryError("failed-precondition", "cannot start a container in the paused state");
    if (!existsSync(join(container.directory, stateFiles.fifo)))
      throw new GantryError("failed-precondition", alreadyRunning);
    await release(context, container);
    const { id, pid, bundle, annotations } = container;
    try {
      await runStateHooks(
        context,
        container.hooks.poststart ?? [],
        { id, status: "running", pid, bundle, annotations },
        "throw",
      );
    } catch (error) {
      // such an error stops the container (runtime-spec 1.3, runtime.md "Lifecycle")
      const { signalContainer } = await import("./signal-container.ts");
      signalContainer(container, 9);
      throw error;
    }
    return 0;
  },
};
