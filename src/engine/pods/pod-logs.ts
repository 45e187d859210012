/** What the containers of a pod have printed, in one stream. */
import { GantryError } from "../../base/error.ts";
import { type LogEntry, nanoseconds } from "../containers/log-reader.ts";
import { containerLogs, type LogsOptions } from "../containers/logs.ts";
import type { Internals } from "../internals.ts";
import { containersOf } from "./pod-containers.ts";

export interface PodLogEntry extends LogEntry {
  readonly container: { readonly id: string; readonly name: string };
}

/** `tail` counts for each container. */
export interface PodLogsOptions extends LogsOptions {
  /** Names or ids of the containers; all of the pod if left out. */
  readonly containers?: readonly string[] | undefined;
}

/** By time; those that are followed as they come. Containers that join the pod later are not among them. */
export async function* podLogs(
  internals: Internals,
  id: string,
  { containers, signal, ...options }: PodLogsOptions = {},
): AsyncGenerator<PodLogEntry> {
  const stop = new AbortController();
  const cancellable = { signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal };
  const sources = chosen(internals, id, containers).map((container) =>
    entriesOf(container, containerLogs(internals, container.id, { ...options, ...cancellable })),
  );
  try {
    yield* options.follow ? asTheyCome(sources) : byTime(sources);
  } finally {
    stop.abort();
    await Promise.allSettled(sources.map((source) => source.return(undefined)));
  }
}

function chosen(internals: Internals, pod: string, wanted: readonly string[] | undefined) {
  const all = containersOf(internals, pod);
  if (!wanted) return all;
  return wanted.map((text) => {
    const { id } = internals.containers.identify(text);
    const found = all.find((one) => one.id === id);
    if (found) return found;
    throw new GantryError("not-found", `container ${text} is not in pod ${pod}`, {
      detail: { container: text, pod },
    });
  });
}

async function* entriesOf(
  { id, name }: PodLogEntry["container"],
  entries: AsyncGenerator<LogEntry>,
): AsyncGenerator<PodLogEntry> {
  for await (const entry of entries) yield { ...entry, container: { id, name } };
}

async function* byTime(sources: readonly AsyncGenerator<PodLogEntry>[]): AsyncGenerator<PodLogEntry> {
  const heads: { source: AsyncGenerator<PodLogEntry>; entry: PodLogEntry; time: bigint }[] = [];
  const pull = async (source: AsyncGenerator<PodLogEntry>) => {
    const { done, value: entry } = await source.next();
    if (done) return;
    const time = nanoseconds(entry.time);
    // behind those of the same time: what one container printed stays in order
    const behind = heads.findIndex((head) => head.time > time);
    heads.splice(behind < 0 ? heads.length : behind, 0, { source, entry, time });
  };
  for (const source of sources) await pull(source);
  for (let first = heads.shift(); first; first = heads.shift()) {
    yield first.entry;
    await pull(first.source);
  }
}

async function* asTheyCome(sources: readonly AsyncGenerator<PodLogEntry>[]): AsyncGenerator<PodLogEntry> {
  const ready: { source: AsyncGenerator<PodLogEntry>; result: IteratorResult<PodLogEntry, unknown> }[] = [];
  let failed: { readonly error: unknown } | undefined;
  let more = Promise.withResolvers<void>();
  const pull = (source: AsyncGenerator<PodLogEntry>) =>
    void source
      .next()
      .then(
        (result) => void ready.push({ source, result }),
        (error: unknown) => {
          failed ??= { error };
        },
      )
      .finally(() => more.resolve());
  for (const source of sources) pull(source);
  for (let open = sources.length; open > 0; ) {
    await more.promise;
    more = Promise.withResolvers();
    if (failed) throw failed.error;
    for (const { source, result } of ready.splice(0)) {
      if (result.done) open--;
      else {
        yield result.value;
        pull(source);
      }
    }
  }
}
