/** A container in the hands of a program. */

import { GantryError, isGantryError } from "../../base/error.ts";
import type { ExitRecord } from "../../tasks/records.ts";
import type { Attachment } from "../../tasks/task.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { attachContainer } from "./attach.ts";
import { type ContainerInspection, inspectContainer } from "./inspect.ts";
import { killContainer, type SignalName } from "./kill.ts";
import type { LogEntry } from "./log-reader.ts";
import { containerLogs, type LogsOptions } from "./logs.ts";
import { settleLocked } from "./observe.ts";
import { OutputStream } from "./output-stream.ts";
import { type RemoveOptions, removeContainer } from "./remove.ts";
import { type StopOptions, stopContainer } from "./stop.ts";
import type { UpdateRequest } from "./update.ts";
import { type ContainerExit, settleExit, waitForContainer } from "./wait.ts";
import { type WaitCondition, waitForCondition } from "./wait-condition.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

export interface WaitOptions extends Cancellable {
  /** What to wait for; "not-running" unless told. */
  readonly condition?: WaitCondition;
}

/** The stdin of a container. */
export interface ContainerInput {
  /** Resolves when more is welcome. */
  write(data: Uint8Array | string, options?: Cancellable): Promise<void>;
  /** End of file. */
  end(options?: Cancellable): Promise<void>;
}

export class Container implements AsyncDisposable {
  readonly id: string;
  readonly #internals: Internals;
  #name: string;
  #attachment: Attachment | undefined;
  #pump: Promise<void> = Promise.resolve();
  /** Resolves when a slow reader holds the output up, and with it the word of the end. */
  #stalled: Promise<void> = Promise.resolve();
  #stdout = new OutputStream("stdout");
  #stderr = new OutputStream("stderr");

  /** Containers come from an engine. `attachment` is the connection that started it. */
  constructor(internals: Internals, id: string, name: string, attachment?: Attachment) {
    this.#internals = internals;
    this.id = id;
    this.#name = name;
    if (attachment) this.#take(attachment);
    else {
      this.#stdout.end();
      this.#stderr.end();
    }
  }

  get name(): string {
    return this.#name;
  }

  /** What it prints from the start, or from `attach` on; empty for a container that this program did not start. */
  get stdout(): OutputStream {
    return this.#stdout;
  }

  get stderr(): OutputStream {
    return this.#stderr;
  }

  /** Where to write, if the container was started with `stdin: true`. */
  get stdin(): ContainerInput {
    const attachment = () => {
      if (!this.#attachment)
        throw new GantryError(
          "failed-precondition",
          `write to "${this.name}": this program is not attached to it`,
        );
      return this.#attachment;
    };
    return {
      write: async (data, options) =>
        await attachment().write(typeof data === "string" ? Buffer.from(data) : data, options),
      end: async (options) => await attachment().endStdin(options),
    };
  }

  /** Starts it (again). */
  async start(options: Cancellable & { readonly attach?: boolean } = {}): Promise<void> {
    const { startContainer } = await import("./start.ts");
    const attachment = await startContainer(this.#internals, this.id, options);
    if (attachment) this.#take(attachment);
  }

  /** Connects stdout, stderr and, if asked, stdin to a container that somebody else started. */
  async attach(options: Cancellable & { readonly stdin?: boolean } = {}): Promise<void> {
    this.#take(await attachContainer(this.#internals, this.id, options));
  }

  #take(attachment: Attachment): void {
    this.#attachment = attachment;
    const stdout = new OutputStream("stdout");
    const stderr = new OutputStream("stderr");
    this.#stdout = stdout;
    this.#stderr = stderr;
    let stall = () => {};
    this.#stalled = new Promise((resolve) => {
      stall = resolve;
    });
    const pump = async () => {
      try {
        for await (const { stream, bytes } of attachment.output) {
          const reader = stream === "stdout" ? stdout : stderr;
          const taken = reader.push(bytes);
          if (reader.full) stall();
          await taken;
        }
        stdout.end();
        stderr.end();
      } catch (error) {
        stdout.end(error);
        stderr.end(error);
      }
    };
    this.#pump = pump();
  }

  /** Its exit status when it has ended: 128 + n for signal n. */
  async wait(options: WaitOptions = {}): Promise<number> {
    return (await this.waitForExit(options)).exitCode;
  }

  /** The same with what else is known of its end. */
  async waitForExit({ condition, ...options }: WaitOptions = {}): Promise<ContainerExit> {
    if (condition !== undefined && condition !== "not-running") {
      // loaded already: what happens after the call counts, the first look comes before it returns
      return await waitForCondition(this.#internals, this.id, condition, options);
    }
    const exit = await this.#exitBehindOutput(options.signal);
    return exit
      ? await settleExit(this.#internals, this.id, exit, options)
      : await waitForContainer(this.#internals, this.id, options);
  }

  /** What the attachment tells at the end of the output; undefined if it does not, or the output stands still. */
  async #exitBehindOutput(signal: AbortSignal | undefined): Promise<ExitRecord | undefined> {
    if (!this.#attachment) return undefined;
    let abort = () => {};
    const aborted = new Promise<void>((resolve) => {
      abort = resolve;
    });
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      await Promise.race([this.#pump, this.#stalled, aborted]);
      signal?.throwIfAborted();
      return this.#attachment?.exit();
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** What it has printed, from its log, and with `follow` what it goes on to print. */
  logs(options: LogsOptions = {}): AsyncIterable<LogEntry> {
    return containerLogs(this.#internals, this.id, options);
  }

  /** Asks it to end; kills it if it does not in time. */
  async stop(options: StopOptions = {}): Promise<void> {
    await stopContainer(this.#internals, this.id, options);
  }

  /** Ends it as `stop` does, and starts it again. */
  async restart(options: StopOptions = {}): Promise<void> {
    const { restartContainer } = await import("./restart.ts");
    await restartContainer(this.#internals, this.id, options);
  }

  /** Stops its processes in their tracks; what they have open stays open. */
  async pause(options: Cancellable = {}): Promise<void> {
    const { pauseContainer } = await import("./freeze.ts");
    await pauseContainer(this.#internals, this.id, options);
  }

  async unpause(options: Cancellable = {}): Promise<void> {
    const { unpauseContainer } = await import("./freeze.ts");
    await unpauseContainer(this.#internals, this.id, options);
  }

  async rename(name: string, options: Cancellable = {}): Promise<void> {
    const { renameContainer } = await import("./rename.ts");
    this.#name = await renameContainer(this.#internals, this.id, name, options);
  }

  /** Changes its limits: now, if it runs, and for every later start. */
  async update(resources: UpdateRequest, options: Cancellable = {}): Promise<void> {
    const { updateContainer } = await import("./update.ts");
    await updateContainer(this.#internals, this.id, resources, options);
  }

  async kill(signalName: SignalName = "KILL", options: Cancellable = {}): Promise<void> {
    await killContainer(this.#internals, this.id, signalName, options);
  }

  async remove(options: RemoveOptions = {}): Promise<void> {
    await removeContainer(this.#internals, this.id, options);
  }

  async inspect(options: Cancellable = {}): Promise<ContainerInspection> {
    return await inspectContainer(this.#internals, this.id, options);
  }

  /** Takes over its end, if it has ended: so that what follows on that begins. Says whether it is to run again. */
  async settle(options: Cancellable = {}): Promise<{ readonly restarts: boolean }> {
    using _ = await lockContainer(this.#internals, this.id, options);
    const record = await settleLocked(this.#internals, this.id);
    return { restarts: record?.restart !== undefined };
  }

  /** Lets go of it: it runs on, and this program may end. */
  async detach(): Promise<void> {
    await this.#attachment?.[Symbol.asyncDispose]();
    this.#attachment = undefined;
    await this.#pump;
  }

  /** Kills it if it runs, and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.remove({ force: true });
    } catch (error) {
      if (!isGantryError(error, "not-found")) throw error;
    } finally {
      await this.detach();
    }
  }
}
