/**
 * A pod in the hands of a program: a sandbox that holds namespaces and a cgroup for containers that are made with
 * `pod: name`. What can be relied upon:
 *
 * - A pod that is ready stays so without any process of Gantry, until it is stopped, or the machine is.
 * - Its namespaces, id maps, host name and sysctls are those of its last start; a container that is started in a pod
 *   that is not ready starts the pod first.
 * - Every verb may be repeated, and does nothing where nothing is left to do. A verb that was killed at any moment is
 *   undone or ended by the next look of any engine: a pod is ready as a whole or holds nothing.
 * - `remove` leaves no mount, no process, no cgroup and no file.
 */
import { isGantryError } from "../../base/error.ts";
import { Container } from "../containers/container.ts";
import type { SignalName } from "../containers/kill.ts";
import type { ContainerStatus } from "../containers/list.ts";
import { sampleEach } from "../containers/sample-each.ts";
import type { ContainerStats, StatsOptions } from "../containers/stats.ts";
import type { StopOptions } from "../containers/stop.ts";
import type { ProcessTable } from "../containers/top.ts";
import type { Internals } from "../internals.ts";
import type { PodContainer, PodInspection } from "./inspect-pod.ts";
import { type PodLogEntry, type PodLogsOptions, podLogs } from "./pod-logs.ts";
import type { RemovePodOptions } from "./remove-pod.ts";
import type { StartPodOptions } from "./start-pod.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

export class Pod implements AsyncDisposable {
  readonly id: string;
  readonly name: string;
  readonly #internals: Internals;

  /** Pods come from an engine. */
  constructor(internals: Internals, id: string, name: string) {
    this.#internals = internals;
    this.id = id;
    this.name = name;
  }

  /** Makes it ready; `startAll` starts its containers too. */
  async start(options: StartPodOptions = {}): Promise<void> {
    const { startPod } = await import("./start-pod.ts");
    await startPod(this.#internals, this.id, options);
  }

  /** Makes it ready, and starts each of its containers that does not run. */
  async startAll(options: Cancellable = {}): Promise<void> {
    await this.start(options);
    const failures: unknown[] = [];
    for (const container of await this.#in(["created", "exited"], options)) {
      try {
        await container.start({ attach: false, ...options });
      } catch (error) {
        options.signal?.throwIfAborted();
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `start pod "${this.name}"`);
  }

  /** Stops it, and starts it again with all its containers. */
  async restart(options: Omit<StopOptions, "stopSignal"> = {}): Promise<void> {
    await this.stop(options);
    await this.startAll(options.signal ? { signal: options.signal } : {});
  }

  /** Stops its containers, and lets go of what it holds. */
  async stop(options: Omit<StopOptions, "stopSignal"> = {}): Promise<void> {
    const { stopPod } = await import("./stop-pod.ts");
    await stopPod(this.#internals, this.id, options);
  }

  /** Sends a signal to each of its containers that runs. */
  async kill(signalName: SignalName = "KILL", options: Cancellable = {}): Promise<void> {
    const { signalNumber } = await import("../containers/kill.ts");
    signalNumber(signalName);
    for (const container of await this.#in(["running", "paused"], options)) {
      try {
        await container.kill(signalName, options);
      } catch (error) {
        // it has ended by itself just now
        if (!isGantryError(error, "failed-precondition") && !isGantryError(error, "not-found")) throw error;
      }
    }
  }

  /** Stops the processes of each of its containers that runs in their tracks. */
  async pause(options: Cancellable = {}): Promise<void> {
    for (const container of await this.#in(["running"], options)) await container.pause(options);
  }

  async unpause(options: Cancellable = {}): Promise<void> {
    for (const container of await this.#in(["paused"], options)) await container.unpause(options);
  }

  /** The processes of its containers that run, by ps(1) of the host; `psOptions` as that takes them. */
  async top(psOptions: readonly string[] = []): Promise<ProcessTable> {
    const { podProcesses } = await import("./pod-top.ts");
    return await podProcesses(this.#internals, this.id, psOptions);
  }

  /** What its containers have printed, by time, and with `follow` what they go on to print, as it comes. */
  logs(options: PodLogsOptions = {}): AsyncIterable<PodLogEntry> {
    return podLogs(this.#internals, this.id, options);
  }

  /** What each of its containers that runs uses, every second until none does, or once. */
  stats(options: StatsOptions = {}): AsyncIterable<readonly ContainerStats[]> {
    return sampleEach(async () => await this.#in(["running", "paused"], options), options);
  }

  /** Removes it with its containers. */
  async remove(options: RemovePodOptions = {}): Promise<void> {
    const { removePod } = await import("./remove-pod.ts");
    await removePod(this.#internals, this.id, options);
  }

  async inspect(options: Cancellable = {}): Promise<PodInspection> {
    const { inspectPod } = await import("./inspect-pod.ts");
    return await inspectPod(this.#internals, this.id, options);
  }

  /** Its containers, the oldest first. */
  async containers(options: Cancellable = {}): Promise<readonly Container[]> {
    return (await this.inspect(options)).containers.map((one) => this.#container(one));
  }

  async #in(statuses: readonly ContainerStatus[], options: Cancellable): Promise<readonly Container[]> {
    const { containers } = await this.inspect(options);
    return containers.filter(({ status }) => statuses.includes(status)).map((one) => this.#container(one));
  }

  #container({ id, name }: PodContainer): Container {
    return new Container(this.#internals, id, name);
  }

  /** Ends its containers and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove({ force: true, timeoutSeconds: 0 });
  }
}
