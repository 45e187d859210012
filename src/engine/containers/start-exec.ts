/** Starts a further process in a container that runs. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, GantryError, isGantryError, wrapErrno } from "../../base/error.ts";
import { removeTree } from "../../base/remove-tree.ts";
import { startTask } from "../../tasks/start-task.ts";
import type { Internals } from "../internals.ts";
import { noSuchContainer } from "./container-store.ts";
import { attributesNow, containerAttributes } from "./event-attributes.ts";
import { Exec } from "./exec.ts";
import { type ExecRequest, execPlans, newExecId } from "./exec-plan.ts";
import { forgetEnded } from "./list-execs.ts";
import { type Observed, observe } from "./observe.ts";

/** Of a command line in an event. */
const toldLength = 1024;

/** Not what is above it: a container that is gone meanwhile must not come back. The one in it is made by the plan. */
function makeExecsDirectory(internals: Internals, id: string): string {
  const execs = internals.containers.execsDirectory(id);
  try {
    mkdirSync(execs, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw wrapErrno(error, "make directory", execs);
  }
  return execs;
}

/** What could not be started, in the words that callers of docker look for; another runtime has its own. */
function startError(error: unknown): unknown {
  if (!isGantryError(error) || error.detail.stage === undefined || error.detail.op === "run-runtime")
    return error;
  return new GantryError(error.code, `OCI runtime exec failed: exec failed: ${error.message}`, {
    detail: error.detail,
    cause: error,
  });
}

/** As `exec` ends when its program could not be started. */
function failedStatus(error: unknown): string {
  const status = isGantryError(error) ? error.detail.status : undefined;
  return String(status === 127 ? status : 126);
}

async function inWordsOfRuntime<T>(dir: string, start: () => Promise<T>): Promise<T> {
  const { explained } = await import("./runtime-words.ts");
  return await explained(dir, start);
}

function runningOf(observed: Observed | undefined, id: string) {
  if (!observed) throw noSuchContainer(id);
  const { record, state } = observed;
  const refuse = (reason: string) =>
    new GantryError("failed-precondition", `container ${record.id} is ${reason}`, {
      detail: { id, name: record.name },
    });
  if (state.kind !== "running") throw refuse("not running");
  if (state.paused) throw refuse("paused, unpause the container before exec");
  return { record, start: state.start };
}

/** Its process and its stdin end with the connection, so that nothing is left of a client that is killed. */
const attachedChoice = {
  stdout: true,
  stderr: true,
  stdin: true,
  ownsStdin: true,
  ownsProcess: true,
} as const;

/**
 * Resolves when the program runs. Unless detached it ends with this program, however that ends; with an abort of
 * `signal` it is killed.
 */
export async function startExec(
  internals: Internals,
  id: string,
  request: ExecRequest,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Exec> {
  const { detach = false } = request;
  const { signal } = options;
  signal?.throwIfAborted();
  // it comes up while the plan is made
  const started = internals.executors.take();
  let dir: string | undefined;
  let announced: (() => Readonly<Record<string, string>>) | undefined;
  try {
    const { record, start: running } = runningOf(await observe(internals, id), id);
    const execId = newExecId();
    const told = () => ({ ...attributesNow(internals, record), execID: execId });
    // the record was read just now
    const atStart = { ...containerAttributes(record), execID: execId };
    const execs = makeExecsDirectory(internals, id);
    dir = join(execs, execId);
    if (detach) forgetEnded(internals, id);
    const place = dir;
    const plan = (await execPlans(internals, record, running, request, execs))(execId);
    const command = request.command.join(" ").slice(0, toldLength);
    for (const action of ["exec_create", "exec_start"] as const)
      internals.events.append("container", action, id, { ...atStart, command });
    announced = told;
    const start = () =>
      startTask(plan, place, {
        executor: internals.executor(),
        started,
        ...(detach ? {} : { attach: attachedChoice }),
        ...(signal ? { signal } : {}),
      });
    const starting = record.runtime ? inWordsOfRuntime(place, start) : start();
    internals.executors.prepare();
    const { pid, attachment } = await starting;
    const onLost = (exitCode: number) =>
      internals.events.append("container", "exec_die", id, { ...told(), exitCode: String(exitCode) });
    const onDetach = () => internals.events.append("container", "exec_detach", id, told());
    return new Exec({ id: execId, pid, dir, attachment, onLost, onDetach, signal });
  } catch (error) {
    started.close();
    if (dir !== undefined) removeTree(dir);
    if (announced)
      internals.events.append("container", "exec_die", id, { ...announced(), exitCode: failedStatus(error) });
    throw startError(error);
  }
}
