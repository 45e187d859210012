/** Runs plans: sends one, answers its sync points, turns a failure report into an error. */
import { bug, GantryError } from "../base/error.ts";
import { type Plan, type SyncPoint, syncPoints } from "../plan/plan.ts";
import { replies, requests } from "../plan/protocol.ts";
import { type ReadyPlan, readyPlan } from "../plan/ready-plan.ts";
import { Dialogue, type DialogueOptions } from "./dialogue.ts";
import { encodeFrame } from "./frames.ts";
import { type AttachChoice, encodeRequest } from "./messages.ts";
import { decodeFailure, failureError } from "./report.ts";

export interface LaunchOptions {
  /** Path of the executor. */
  readonly executor: string;
  /** One that was started before the plan was ready, which takes as long as compiling it. */
  readonly started?: Dialogue | undefined;
  readonly stdio?: DialogueOptions["stdio"];
  readonly env?: DialogueOptions["env"];
  readonly sameSession?: DialogueOptions["sameSession"];
  /**
   * Does the controller's part at a sync point, told the child's pid or, at `memory`, a count; a rejection undoes the
   * whole plan.
   */
  readonly onSync?: (point: SyncPoint, number: number) => Promise<void> | void;
  /**
   * Streams of the container to be shown over the dialogue from its first byte on. Said with the last
   * `go`, when the program has not begun: said later, what it printed before would be in the log only.
   */
  readonly attach?: AttachChoice;
  /** Aborting before the plan is over undoes it. */
  readonly signal?: AbortSignal;
}

export interface Launched {
  /** The child, as this process sees it; 0 if the plan has none. */
  readonly pid: number;
  /** The connection: open for a shim, at its end otherwise. */
  readonly dialogue: Dialogue;
  /** Exit status of the child (128 + n after signal n), where the plan waited for it. */
  readonly status?: number;
  /** What failed of the clean-up after that end, which changes nothing of it. */
  readonly failure?: unknown;
}

function pointOf(payload: Uint8Array): { point: SyncPoint; pid: number } {
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const number = view.readUInt32LE(0);
  const point = Object.entries(syncPoints).find(([, value]) => value === number)?.[0];
  return point ? { point: point as SyncPoint, pid: view.readUInt32LE(4) } : bug(`sync point ${number}`);
}

/** Starts an executor that waits for its plan. Closed without one, it ends. */
export function startExecutor(options: Pick<LaunchOptions, "executor" | "stdio" | "env">): Dialogue {
  return new Dialogue({ ...options, mode: "dialogue" });
}

/**
 * Runs a plan until it is done, or until it reports `until`. Throws what failed after the executor has
 * undone it; an abort passes its reason on, also after the undoing.
 */
async function run(ready: ReadyPlan, options: LaunchOptions, until?: SyncPoint): Promise<Launched> {
  options.signal?.throwIfAborted();
  const dialogue = options.started ?? startExecutor(options);
  // closing our end is "no": the executor undoes and ends, and we wait for that
  const abort = () => dialogue.finish();
  options.signal?.addEventListener("abort", abort, { once: true });
  let refusal: unknown;
  let failure: unknown;
  let pid = 0;
  let syncsLeft = ready.syncs;
  // in one write with the attachment, if nothing is asked in between: a container that ends at once may be over
  // before a second write, and Bun drops what it has not read yet when a write fails
  const send = (frame: Uint8Array) => {
    const attach =
      options.attach && syncsLeft === 0 ? [encodeRequest({ kind: "attach", ...options.attach })] : [];
    if (dialogue.socket.writable) dialogue.socket.write(Buffer.concat([frame, ...attach]));
  };
  try {
    send(encodeFrame(requests.plan, ready.bytes));
    for (;;) {
      const frame = await dialogue.next();
      if (frame === undefined) break;
      if (frame.type === replies.sync || frame.type === replies.reported) {
        const reached = pointOf(frame.payload);
        pid = reached.pid || pid;
        if (frame.type === replies.reported) {
          if (reached.point === until) return { pid, dialogue };
          continue;
        }
        try {
          options.signal?.throwIfAborted();
          await options.onSync?.(reached.point, reached.pid);
          syncsLeft--;
          send(encodeFrame(requests.go));
        } catch (error) {
          refusal ??= error;
          dialogue.send(requests.abort);
        }
      } else if (frame.type === replies.failed) {
        options.signal?.throwIfAborted();
        failure = refusal ?? failureError(ready.plan(), decodeFailure(frame.payload));
        // an exit that follows says that the child came to its end before
        if (until !== undefined) throw failure;
      } else if (frame.type === replies.exit && until === undefined) {
        const status = Buffer.from(frame.payload).readInt32LE(0);
        return { pid, dialogue, status, ...(failure === undefined ? {} : { failure }) };
      } else if (frame.type === replies.done) {
        if (until === undefined) return { pid, dialogue };
        bug(`a plan that ended before ${until}`);
      }
    }
    options.signal?.throwIfAborted();
    throw (
      failure ?? refusal ?? new GantryError("unavailable", "run plan: the executor ended without a report")
    );
  } catch (error) {
    dialogue.close();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}

/** Runs a plan to its end: OCI create, a run that waits (`await-exit`), a clean-up, a cgroup update. */
export async function runPlan(plan: Plan, options: LaunchOptions): Promise<Omit<Launched, "dialogue">> {
  const { dialogue, ...result } = await run(readyPlan(plan), options);
  dialogue.close();
  return result;
}

/**
 * Runs a plan that ends in `supervise`; returns once the program has started. The executor is then the
 * shim, and the dialogue an attached connection: close it, or read stdout, stderr and exit from it.
 */
export async function launchShim(ready: ReadyPlan, options: LaunchOptions): Promise<Launched> {
  return await run(ready, options, "started");
}
