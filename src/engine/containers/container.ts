/** A container in the hands of a program. */

import { isGantryError } from "../../base/error.ts";
import type { TerminalSize } from "../../bundle/exec-process.ts";
import type { Image } from "../../images/image.ts";
import type { Attachment } from "../../tasks/task.ts";
import { type Internals, lockContainer } from "../internals.ts";
import type { PathArchive, PathStat, ReadArchiveOptions, WriteArchiveOptions } from "./archive.ts";
import type { AttachOptions } from "./attach.ts";
import { AttachedStreams, type ContainerInput } from "./attached-streams.ts";
import type { FileChange } from "./changes.ts";
import type { CommitOptions } from "./commit.ts";
import type { CopyOptions } from "./copy.ts";
import { containerAttributes } from "./event-attributes.ts";
import type { Exec } from "./exec.ts";
import type { ExecRequest } from "./exec-plan.ts";
import type { ContainerInspection } from "./inspect.ts";
import type { SignalName } from "./kill.ts";
import type { LogEntry } from "./log-reader.ts";
import type { LogsOptions } from "./logs.ts";
import { settleLocked } from "./observe.ts";
import type { OutputStream } from "./output-stream.ts";
import type { RemoveOptions } from "./remove.ts";
import type { StartOptions } from "./start.ts";
import type { ContainerStats, StatsOptions } from "./stats.ts";
import type { StopOptions } from "./stop.ts";
import type { ProcessTable } from "./top.ts";
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

export class Container implements AsyncDisposable {
  readonly id: string;
  readonly #internals: Internals;
  #name: string;
  #streams: AttachedStreams;

  /** Containers come from an engine. `attachment` is the connection that started it. */
  constructor(internals: Internals, id: string, name: string, attachment?: Attachment) {
    this.#internals = internals;
    this.id = id;
    this.#name = name;
    this.#streams = new AttachedStreams(attachment);
  }

  get name(): string {
    return this.#name;
  }

  /** What it prints from the start, or from `attach` on; empty for a container that this program did not start. */
  get stdout(): OutputStream {
    return this.#streams.stdout;
  }

  get stderr(): OutputStream {
    return this.#streams.stderr;
  }

  /** Where to write, if the container was started with `stdin: true`. */
  get stdin(): ContainerInput {
    // the attachment at the time of writing: it may have been started again since
    return {
      write: async (data, options) => await this.#streams.stdin(this.name).write(data, options),
      end: async (options) => await this.#streams.stdin(this.name).end(options),
    };
  }

  /** Starts it (again). */
  async start(options: Omit<StartOptions, "executor"> = {}): Promise<void> {
    const { startContainer } = await import("./start.ts");
    const attachment = await startContainer(this.#internals, this.id, options);
    if (attachment) this.#streams = new AttachedStreams(attachment);
  }

  /** Connects stdout, stderr and, if asked, stdin to a container that somebody else started. */
  async attach(options: AttachOptions = {}): Promise<void> {
    const { attachContainer } = await import("./attach.ts");
    this.#streams = new AttachedStreams(await attachContainer(this.#internals, this.id, options));
  }

  /** Tells its terminal how large it is. */
  async resize(size: TerminalSize, options: Cancellable = {}): Promise<void> {
    const { openTask } = await import("../../tasks/open-task.ts");
    const task = openTask(this.#internals.containers.stateDirectory(this.id));
    await task.resize(size.rows, size.columns, options);
    this.#tell("resize", { height: String(size.rows), width: String(size.columns) });
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
    const exit = await this.#streams.exitBehindOutput(options.signal);
    return exit
      ? await settleExit(this.#internals, this.id, exit, options)
      : await waitForContainer(this.#internals, this.id, options);
  }

  /** Starts a further process in it, which runs as the container does unless told; resolves when it runs. */
  async exec(
    command: readonly string[],
    options: Omit<ExecRequest, "command"> & Cancellable = {},
  ): Promise<Exec> {
    const { signal, ...request } = options;
    const { startExec } = await import("./start-exec.ts");
    return await startExec(this.#internals, this.id, { ...request, command }, signal ? { signal } : {});
  }

  /** What it has printed, from its log, and with `follow` what it goes on to print. */
  async *logs(options: LogsOptions = {}): AsyncGenerator<LogEntry> {
    const { containerLogs } = await import("./logs.ts");
    yield* containerLogs(this.#internals, this.id, options);
  }

  /** Compresses what its shim has turned over of its log, if that was asked for. */
  async packLog(): Promise<void> {
    const { packLog } = await import("./pack-log.ts");
    await packLog(this.#internals, this.id);
  }

  /** Asks it to end; kills it if it does not in time. */
  async stop(options: StopOptions = {}): Promise<void> {
    const { stopContainer } = await import("./stop.ts");
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

  /** Its processes, by ps(1) of the host; `psOptions` as that takes them. */
  async top(psOptions: readonly string[] = []): Promise<ProcessTable> {
    const { containerProcesses } = await import("./top.ts");
    return await containerProcesses(this.#internals, this.id, psOptions);
  }

  /** What it uses, every second until it ends, or once. */
  async *stats(options: StatsOptions = {}): AsyncGenerator<ContainerStats> {
    const { containerStats } = await import("./stats.ts");
    yield* containerStats(this.#internals, this.id, options);
  }

  /** What it has changed in its file system. */
  async changes(options: Cancellable = {}): Promise<readonly FileChange[]> {
    const { containerChanges } = await import("./changes.ts");
    return await containerChanges(this.#internals, this.id, options);
  }

  /** Its file system as a tar, without what is mounted in it. */
  async *export(options: Cancellable = {}): AsyncGenerator<Uint8Array> {
    const { exportContainer } = await import("./export.ts");
    yield* exportContainer(this.#internals, this.id, options);
  }

  /** Makes an image of it. */
  async commit(options: CommitOptions = {}): Promise<Image> {
    const { commitContainer } = await import("./commit.ts");
    return await commitContainer(this.#internals, this.id, options);
  }

  /** Copies a file or directory of the host into it, by docker's rules for paths; gives the bytes that went over. */
  async copyTo(localPath: string, containerPath: string, options: CopyOptions = {}): Promise<number> {
    const { copyToContainer } = await import("./copy.ts");
    return await copyToContainer(this.#internals, this.id, localPath, containerPath, options);
  }

  /** The same out of it. */
  async copyFrom(containerPath: string, localPath: string, options: CopyOptions = {}): Promise<number> {
    const { copyFromContainer } = await import("./copy.ts");
    return await copyFromContainer(this.#internals, this.id, containerPath, localPath, options);
  }

  /** What is at a path of it; not-found if nothing is. */
  async statPath(
    path: string,
    options: Cancellable & { readonly followLink?: boolean } = {},
  ): Promise<PathStat> {
    const { statContainerPath } = await import("./archive.ts");
    return await statContainerPath(this.#internals, this.id, path, options);
  }

  /** A file or directory of it as a tar, which is to be read to its end or disposed of. */
  async readArchive(path: string, options: ReadArchiveOptions = {}): Promise<PathArchive> {
    const { readContainerArchive } = await import("./archive.ts");
    return await readContainerArchive(this.#internals, this.id, path, options);
  }

  /** Unpacks a tar below a directory of it. */
  async writeArchive(
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options: WriteArchiveOptions = {},
  ): Promise<void> {
    const { writeContainerArchive } = await import("./archive.ts");
    await writeContainerArchive(this.#internals, this.id, path, tar, options);
  }

  async kill(signalName: SignalName = "KILL", options: Cancellable = {}): Promise<void> {
    const { killContainer } = await import("./kill.ts");
    await killContainer(this.#internals, this.id, signalName, options);
  }

  async remove(options: RemoveOptions = {}): Promise<void> {
    const { removeContainer } = await import("./remove.ts");
    await removeContainer(this.#internals, this.id, options);
  }

  async inspect(options: Cancellable = {}): Promise<ContainerInspection> {
    const { inspectContainer } = await import("./inspect.ts");
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
    if (this.#streams.attached) this.#tell("detach");
    await this.#streams[Symbol.asyncDispose]();
  }

  #tell(action: "detach" | "resize", more: Readonly<Record<string, string>> = {}): void {
    const record = this.#internals.containers.read(this.id);
    if (!record) return;
    this.#internals.events.append("container", action, this.id, { ...containerAttributes(record), ...more });
  }

  /** Kills it if it runs, and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.remove({ force: true });
    } catch (error) {
      if (!isGantryError(error, "not-found")) throw error;
    } finally {
      await this.#streams[Symbol.asyncDispose]();
    }
  }
}
