/** A further process of a container in the hands of a program. */
import { isGantryError } from "../../base/error.ts";
import { removeTree } from "../../base/remove-tree.ts";
import type { TerminalSize } from "../../bundle/exec-process.ts";
import { endProcess } from "../../tasks/end-process.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { ExitRecord } from "../../tasks/records.ts";
import { lostExit } from "../../tasks/recover.ts";
import type { Attachment, Task } from "../../tasks/task.ts";
import { taskState } from "../../tasks/task-state.ts";
import { AttachedStreams, type ContainerInput } from "./attached-streams.ts";
import { type SignalName, signalNumber } from "./kill.ts";
import type { OutputStream } from "./output-stream.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

export interface ExecParts {
  readonly id: string;
  readonly pid: number;
  /** Its run-time directory. */
  readonly dir: string;
  readonly attachment: Attachment | undefined;
  /** Told once of the end of one whose shim could not tell it. */
  readonly onLost: (exitCode: number) => void;
  /** Told when this program lets go of one that it is attached to. */
  readonly onDetach: () => void;
  /** Kills it, if this program is attached to it. */
  readonly signal?: AbortSignal | undefined;
}

export class Exec implements AsyncDisposable {
  readonly id: string;
  /** As this machine numbers it. */
  readonly pid: number;
  readonly #dir: string;
  readonly #task: Task;
  readonly #streams: AttachedStreams;
  readonly #onLost: ExecParts["onLost"];
  readonly #onDetach: ExecParts["onDetach"];
  #attached: boolean;
  #exit: Promise<number> | undefined;
  #ended = false;

  /** Execs come from a container. */
  constructor({ id, pid, dir, attachment, onLost, onDetach, signal }: ExecParts) {
    this.id = id;
    this.pid = pid;
    this.#dir = dir;
    this.#task = openTask(dir);
    this.#streams = new AttachedStreams(attachment);
    this.#attached = attachment !== undefined;
    this.#onLost = onLost;
    this.#onDetach = onDetach;
    if (attachment && signal) this.#endOn(signal);
  }

  #endOn(signal: AbortSignal): void {
    // it tells its end over the connection, which stays
    const abort = () => void this.#unlessEnded(this.kill());
    signal.addEventListener("abort", abort, { once: true });
    void this.#streams.over.then(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
  }

  /** What it prints; empty if it was started detached. With a terminal, all that it prints. */
  get stdout(): OutputStream {
    return this.#streams.stdout;
  }

  get stderr(): OutputStream {
    return this.#streams.stderr;
  }

  /** Where to write, if it was started with `stdin: true` or with a terminal. */
  get stdin(): ContainerInput {
    return this.#streams.stdin(`exec ${this.id.slice(0, 12)}`);
  }

  /** Its exit status when it has ended: 128 + n for signal n. */
  async wait(options: Cancellable = {}): Promise<number> {
    const exit = await this.#streams.exitBehindOutput(options.signal);
    this.#exit ??= this.#settle(exit, options);
    try {
      return await this.#exit;
    } catch (error) {
      // whoever asks again may have more luck
      this.#exit = undefined;
      throw error;
    }
  }

  async #settle(told: ExitRecord | undefined, options: Cancellable): Promise<number> {
    const { code } = told ?? (await this.#ask(options));
    this.#ended = true;
    return code;
  }

  /** Where the output stands still, or goes elsewhere. */
  async #ask(options: Cancellable): Promise<ExitRecord> {
    try {
      return await this.#task.wait(options);
    } catch (error) {
      if (!isGantryError(error, "data-loss")) throw error;
      // the process ends with its shim, that of another runtime by us; what the shim would have removed is left
      const state = taskState(this.#dir);
      if (state.kind === "lost") await endProcess(state.start.init, `end exec "${this.id}"`, options.signal);
      removeTree(this.#dir);
      const lost = lostExit();
      this.#onLost(lost.code);
      return lost;
    }
  }

  /** failed-precondition or not-found if it has ended. */
  async kill(signalName: SignalName = "KILL", options: Cancellable = {}): Promise<void> {
    await this.#task.kill(signalNumber(signalName), options);
  }

  /** Tells its terminal how large it is. */
  async resize(size: TerminalSize, options: Cancellable = {}): Promise<void> {
    await this.#task.resize(size.rows, size.columns, options);
  }

  /** Lets go of it: it runs on, and this program may end. */
  async detach(options: Cancellable = {}): Promise<void> {
    if (this.#attached) {
      await this.#unlessEnded(this.#task.disown(options));
      if (this.#streams.attached) this.#onDetach();
    }
    this.#attached = false;
    await this.#streams[Symbol.asyncDispose]();
  }

  /** Kills it if this program is attached to it, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#attached && !this.#ended) {
      await this.#unlessEnded(this.kill());
      await this.wait();
    }
    this.#attached = false;
    await this.#streams[Symbol.asyncDispose]();
  }

  async #unlessEnded(asked: Promise<void>): Promise<void> {
    try {
      await asked;
    } catch (error) {
      if (
        !["failed-precondition", "not-found", "data-loss"].some((code) => isGantryError(error, code as never))
      )
        throw error;
    }
  }
}
