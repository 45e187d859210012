/** What several containers use, sampled side by side. */
import { setTimeout as pause } from "node:timers/promises";
import type { Container } from "./container.ts";
import type { ContainerStats, StatsOptions } from "./stats.ts";

export interface SampleEachOptions extends StatsOptions {
  /** Told of a container that cannot be sampled, which is left out then; unless given, it ends all. */
  readonly onError?: (error: unknown) => void;
}

/** The latest sample of each; who they are is asked anew for each round, of which there is one unless it streams. */
export async function* sampleEach(
  choose: () => Promise<readonly Container[]>,
  { stream = true, intervalMs = 1000, onError, signal }: SampleEachOptions = {},
): AsyncGenerator<readonly ContainerStats[]> {
  const cancellable = signal ? { signal } : {};
  const readers = new Map<string, AsyncIterator<ContainerStats>>();
  const sampleOf = async (container: Container): Promise<ContainerStats | undefined> => {
    const known = readers.get(container.id);
    const reader = known ?? container.stats({ stream, intervalMs, ...cancellable })[Symbol.asyncIterator]();
    readers.set(container.id, reader);
    try {
      const { done, value } = await reader.next();
      if (!done) return value;
    } catch (error) {
      if (signal?.aborted || !onError) throw error;
      onError(error);
    }
    // it has ended: a further look shows whether it is to be had again
    readers.delete(container.id);
    return undefined;
  };
  for (;;) {
    const containers = await choose();
    yield (await Promise.all(containers.map(sampleOf))).filter((sample) => sample !== undefined);
    if (!stream) return;
    // nobody to wait for: the next look at who runs comes after the same time
    if (containers.length === 0) await pause(intervalMs, undefined, cancellable);
    signal?.throwIfAborted();
  }
}
