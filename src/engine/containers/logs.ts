/** What a container has printed, and optionally what it goes on to print. */
import { setTimeout as sleep } from "node:timers/promises";
import { GantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { Internals } from "../internals.ts";
import { noSuchContainer } from "./container-store.ts";
import { type LogEntry, type LogRange, type LogTime, nanosecondsOf, readLog } from "./log-reader.ts";
import { observe } from "./observe.ts";

export interface LogsOptions extends LogRange {
  /** Go on until the container ends. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

export async function* containerLogs(
  internals: Internals,
  id: string,
  options: LogsOptions = {},
): AsyncGenerator<LogEntry> {
  const observed = await observe(internals, id);
  if (!observed) throw noSuchContainer(id);
  const { record, state } = observed;
  const { format, files } = record.log;
  if (format === "none")
    throw new GantryError("unimplemented", "configured logging driver does not support reading", {
      detail: { id, driver: record.log.driver },
    });
  const { follow, signal, ...range } = options;
  const stop = new AbortController();
  const cancellable = { signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal };
  const ended =
    follow && state.kind === "running"
      ? Promise.race([
          openTask(internals.containers.stateDirectory(id)).wait(cancellable),
          ...(range.until === undefined ? [] : [timeOf(range.until, cancellable.signal)]),
        ])
      : undefined;
  ended?.catch(() => {});
  try {
    yield* readLog(internals.containers.logPath(id, format), {
      ...range,
      format,
      files,
      ...(ended ? { ended } : {}),
      ...(signal ? { signal } : {}),
    });
  } finally {
    stop.abort();
  }
}

/** Resolves when that time has come. */
async function timeOf(time: LogTime, signal: AbortSignal): Promise<void> {
  const until = Number(nanosecondsOf(time) / 1_000_000n);
  // a timer counts to 2^31 ms
  for (let left = until - Date.now(); left > 0; left = until - Date.now())
    await sleep(Math.min(left, 2 ** 31 - 1), undefined, { signal, ref: false });
}
