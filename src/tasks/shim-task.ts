/** A container behind its shim: every question goes to the shim's socket, every truth comes from disk. */
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type ErrorCode, GantryError } from "../base/error.ts";
import type { FrameStream } from "../launch/frame-stream.ts";
import { type AttachChoice, decodeReply, type Request } from "../launch/messages.ts";
import { errnoName, errnoWords } from "../linux/errno.ts";
import { attachmentOver, exitRecordOf } from "./attachment.ts";
import { type ExitRecord, readExitRecord } from "./records.ts";
import { connectShim } from "./shim-socket.ts";
import type { Attachment, Cancellable, KillOptions, Task, TaskHold } from "./task.ts";
import { type TaskState, taskState } from "./task-state.ts";

/** Looks again while a shim begins or ends, which takes milliseconds. */
const firstPauseMs = 1;
const longestPauseMs = 50;

function overError(dir: string, state: TaskState): GantryError {
  switch (state.kind) {
    case "lost":
      return new GantryError("data-loss", `ask container "${dir}": its shim was killed`, { detail: { dir } });
    case "created":
      if (!existsSync(dir))
        return new GantryError("not-found", `ask container "${dir}": it is gone`, { detail: { dir } });
      return new GantryError("failed-precondition", `ask container "${dir}": it has not been started`, {
        detail: { dir },
      });
    default:
      return new GantryError("failed-precondition", `ask container "${dir}": it is not running`, {
        detail: { dir },
      });
  }
}

/** Of what a shim answers; the container has ended where nothing stands here. */
const codes: Readonly<Record<string, ErrorCode>> = {
  EINVAL: "invalid-argument",
  EPERM: "permission-denied",
  EBUSY: "unavailable",
};

function isHangup(error: unknown): boolean {
  return error instanceof GantryError && ["ECONNRESET", "EPIPE"].includes(String(error.detail.errno));
}

export class ShimTask implements Task {
  readonly dir: string;

  /** `dir`: the run-time directory of one start of a container. */
  constructor(dir: string) {
    this.dir = dir;
  }

  state(): TaskState {
    return taskState(this.dir);
  }

  async attach(choice: AttachChoice, options: Cancellable = {}): Promise<Attachment> {
    const connection = await this.#connect(options);
    await connection.send({ kind: "attach", ...choice }, options);
    await this.#answer(connection, options);
    return attachmentOver(connection);
  }

  async wait(options: Cancellable = {}): Promise<ExitRecord> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const state = this.state();
      if (state.kind === "exited") return state.exit;
      if (state.kind !== "running") throw overError(this.dir, state);
      const connection = await connectShim(this.dir, options);
      const told = connection && (await this.#awaitExit(connection, options));
      if (told) return readExitRecord(this.dir) ?? told;
      // not listening yet, or no more, or too busy: the record is about to be written
      await pause(pauseMs, undefined, options);
    }
  }

  async kill(signal: number, options: KillOptions = {}): Promise<void> {
    await this.#ask({ kind: "signal", signal, all: options.all ?? false }, "signal container", options);
  }

  async resize(rows: number, columns: number, options: Cancellable = {}): Promise<void> {
    await this.#ask({ kind: "resize", rows, columns }, "resize terminal of container", options);
  }

  async disown(options: Cancellable = {}): Promise<void> {
    await this.#ask({ kind: "disown" }, "let go of container", options);
  }

  async hold(options: Cancellable = {}): Promise<TaskHold> {
    const connection = await this.#connect(options);
    const ask = async (hold: boolean, within: Cancellable) => {
      await connection.send({ kind: "hold", hold }, within);
      await this.#answer(connection, within, "freeze container");
    };
    await ask(true, options);
    return {
      renew: async ({ pulse = false, ...within } = {}) => {
        if (pulse) await ask(false, within);
        await ask(true, within);
      },
      [Symbol.asyncDispose]: async () => {
        try {
          await ask(false, {});
        } catch (error) {
          // it has ended meanwhile, and with it what there was to hold
          if (this.state().kind === "running") throw error;
        } finally {
          connection.close();
        }
      },
    };
  }

  async #connect(options: Cancellable): Promise<FrameStream> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const connection = await connectShim(this.dir, options);
      if (connection) return connection;
      const state = this.state();
      if (state.kind !== "running") throw overError(this.dir, state);
      await pause(pauseMs, undefined, options);
    }
  }

  /** One request over a connection of its own, so that no unread output stands before the answer. */
  async #ask(request: Request, what: string, options: Cancellable): Promise<void> {
    const connection = await this.#connect(options);
    try {
      await connection.send(request, options);
      await this.#answer(connection, options, what);
    } finally {
      connection.close();
    }
  }

  async #answer(connection: FrameStream, options: Cancellable, what = "attach to container"): Promise<void> {
    try {
      const frame = await connection.next(options);
      const reply = frame && decodeReply(frame);
      if (reply === undefined || reply.kind === "exit") throw overError(this.dir, this.state());
      if (reply.kind !== "answer")
        throw new GantryError("internal", `${what} "${this.dir}": the shim said ${reply.kind}`);
      if (reply.errno === 0) return;
      const errno = errnoName(reply.errno);
      const code = codes[errno] ?? "failed-precondition";
      throw new GantryError(code, `${what} "${this.dir}": ${errnoWords(reply.errno)}`, {
        detail: { dir: this.dir, errno },
      });
    } catch (error) {
      connection.close();
      // it ended before it could answer
      throw isHangup(error) ? overError(this.dir, this.state()) : error;
    }
  }

  /** The shim's word for the end; undefined if the shim went without one. */
  async #awaitExit(connection: FrameStream, options: Cancellable): Promise<ExitRecord | undefined> {
    try {
      await connection.send({ kind: "wait" }, options);
      for (;;) {
        const frame = await connection.next(options);
        if (frame === undefined) return undefined;
        const reply = decodeReply(frame);
        if (reply.kind === "exit") return exitRecordOf(reply);
        // so many wait that no seat is left: the record will tell
        if (reply.kind === "answer" && reply.errno !== 0) return undefined;
      }
    } catch (error) {
      if (isHangup(error)) return undefined;
      throw error;
    } finally {
      connection.close();
    }
  }
}
