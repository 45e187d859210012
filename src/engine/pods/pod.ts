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
import type { Container } from "../containers/container.ts";
import type { SignalName } from "../containers/kill.ts";
import type { StopOptions } from "../containers/stop.ts";
import type { Internals } from "../internals.ts";
import type { PodInspection } from "./inspect-pod.ts";
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

  /** Makes it ready; its containers are started by themselves. */
  async start(options: StartPodOptions = {}): Promise<void> {
    const { startPod } = await import("./start-pod.ts");
    await startPod(this.#internals, this.id, options);
  }

  /** Stops its containers, and lets go of what it holds. */
  async stop(options: Omit<StopOptions, "stopSignal"> = {}): Promise<void> {
    const { stopPod } = await import("./stop-pod.ts");
    await stopPod(this.#internals, this.id, options);
  }

  /** Sends a signal to each of its containers that runs. */
  async kill(signalName: SignalName = "KILL", options: Cancellable = {}): Promise<void> {
    const { killContainer, signalNumber } = await import("../containers/kill.ts");
    const { containersOf, isRunning } = await import("./pod-containers.ts");
    signalNumber(signalName);
    for (const one of containersOf(this.#internals, this.id)) {
      if (!isRunning(this.#internals, one)) continue;
      try {
        await killContainer(this.#internals, one.id, signalName, options);
      } catch (error) {
        // it has ended by itself just now
        if (!isGantryError(error, "failed-precondition") && !isGantryError(error, "not-found")) throw error;
      }
    }
  }

  /** Stops the processes of each of its containers that runs in their tracks. */
  async pause(options: Cancellable = {}): Promise<void> {
    const { pauseContainer } = await import("../containers/freeze.ts");
    for (const { id, status } of (await this.inspect(options)).containers)
      if (status === "running") await pauseContainer(this.#internals, id, options);
  }

  async unpause(options: Cancellable = {}): Promise<void> {
    const { unpauseContainer } = await import("../containers/freeze.ts");
    for (const { id, status } of (await this.inspect(options)).containers)
      if (status === "paused") await unpauseContainer(this.#internals, id, options);
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
    const { Container } = await import("../containers/container.ts");
    const { containers } = await this.inspect(options);
    return containers.map(({ id, name }) => new Container(this.#internals, id, name));
  }

  /** Ends its containers and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove({ force: true, timeoutSeconds: 0 });
  }
}
