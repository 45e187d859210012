/** What a container has printed, and optionally what it goes on to print. */

import { GantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { Internals } from "../internals.ts";
import { type LogEntry, type LogRange, readLog } from "./log-reader.ts";
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
  if (!observed)
    throw new GantryError("not-found", `No such container: ${id}`, { detail: { container: id } });
  const { record, state } = observed;
  if (record.log.format === "none")
    throw new GantryError("failed-precondition", `read logs of "${record.name}": it keeps no log`, {
      detail: { id },
    });
  const { follow, signal, ...range } = options;
  const stop = new AbortController();
  const cancellable = { signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal };
  const ended =
    follow && state.kind === "running"
      ? openTask(internals.containers.stateDirectory(id)).wait(cancellable)
      : undefined;
  ended?.catch(() => {});
  try {
    yield* readLog(internals.containers.logPath(id), {
      ...range,
      files: record.log.files,
      ...(ended ? { ended } : {}),
      ...(signal ? { signal } : {}),
    });
  } finally {
    stop.abort();
  }
}
