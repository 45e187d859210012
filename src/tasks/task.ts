/**
 * The seam of running processes. The promise of every implementation:
 *
 * - An exit status is never lost: `wait` gives it however late it is asked, also when the client, the
 *   engine or the runtime's helper was killed meanwhile (then with `error` set).
 * - A container needs no client: it runs on, and its log is written, when all of them are gone. A
 *   client that goes never blocks it; a client that stays but reads slowly slows it down and loses
 *   nothing.
 * - `wait` and `signal` work while another client reads nothing.
 */
import type { AttachChoice } from "../launch/messages.ts";
import type { ExitRecord } from "./records.ts";
import type { TaskState } from "./task-state.ts";

export interface Cancellable {
  readonly signal?: AbortSignal;
}

export interface Output {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** One connection to the streams of a container, from the moment of attaching on. */
export interface Attachment extends AsyncDisposable {
  /**
   * What the container prints, in the order in which the shim read it; ends when the container has
   * ended and everything was handed over. One reader; leaving the loop closes the connection.
   */
  readonly output: AsyncIterable<Output>;
  /** How the container ended, once `output` is over; undefined if the connection ended without the shim's word. */
  exit(): ExitRecord | undefined;
  /** Hands bytes to stdin; resolves when more are welcome. What a container does not read any more is dropped. */
  write(bytes: Uint8Array, options?: Cancellable): Promise<void>;
  /** End of file for the container's stdin. */
  endStdin(options?: Cancellable): Promise<void>;
}

export interface KillOptions extends Cancellable {
  /** To every process of the container, not only the first. */
  readonly all?: boolean;
}

/** Keeps a container frozen until it is released, or whoever has it dies. */
export interface TaskHold extends AsyncDisposable {
  /** Asks for it once more, with a thaw in between if told: a freezer may need that (freezer-subsystem.txt). */
  renew(options?: Cancellable & { readonly pulse?: boolean }): Promise<void>;
}

/** The process of one container. */
export interface Task {
  readonly dir: string;
  state(): TaskState;
  attach(choice: AttachChoice, options?: Cancellable): Promise<Attachment>;
  wait(options?: Cancellable): Promise<ExitRecord>;
  /** failed-precondition if the container has ended. */
  kill(signal: number, options?: KillOptions): Promise<void>;
  resize(rows: number, columns: number, options?: Cancellable): Promise<void>;
  /** Begins to freeze it; its cgroup tells when all of it stands still. */
  hold(options?: Cancellable): Promise<TaskHold>;
  /** It outlives every connection from now on, also those that own its process or stdin. */
  disown(options?: Cancellable): Promise<void>;
}
