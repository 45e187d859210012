/** What another OCI runtime has to say of a failure, from the log that it was told to write. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { GantryError, isGantryError, wrapErrno } from "../../base/error.ts";
import { foreignPlaces } from "../../plan/compile/runtime-steps.ts";

/** Of the end of a runtime's log, that is looked through. */
const logBytes = 64 * 1024;

/**
 * A failure of the runtime in that one's words, from its log in `dir`: what stands there already is about something
 * else. The log is held open, since an exec that fails takes its directory with it.
 */
export async function explained<T>(dir: string, run: () => Promise<T>): Promise<T> {
  const path = foreignPlaces.log(dir);
  const log = openLog(path);
  try {
    const from = fstatSync(log).size;
    try {
      return await run();
    } catch (error) {
      throw foreignFailure(error, readFrom(log, from, path));
    }
  } finally {
    closeSync(log);
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, "a+", 0o600);
  } catch (error) {
    throw wrapErrno(error, "open log of the runtime", path);
  }
}

function readFrom(log: number, from: number, path: string): string {
  try {
    const { size } = fstatSync(log);
    const start = Math.max(from, size - logBytes);
    const bytes = Buffer.alloc(size - start);
    return bytes.toString("utf8", 0, readSync(log, bytes, 0, bytes.length, start));
  } catch (error) {
    throw wrapErrno(error, "read log of the runtime", path);
  }
}

/** What the runtime has to say of a step of its own, with the status that docker gives it. */
function foreignFailure(error: unknown, log: string): unknown {
  if (!isGantryError(error) || error.detail.op !== "run-runtime") return error;
  const said = lastError(log);
  if (said === undefined) return error;
  const status = /executable file .*not found|no such file or directory/i.test(said)
    ? 127
    : /permission denied|is a directory|exec format error/i.test(said)
      ? 126
      : undefined;
  const words = error.message.split(":")[0]!;
  return new GantryError(error.code, `${words}: ${said}`, {
    detail: { ...error.detail, ...(status === undefined ? {} : { status }) },
    cause: error,
  });
}

/** runc and crun write one JSON object a line; the last of level error is the reason. */
function lastError(log: string): string | undefined {
  return log
    .split("\n")
    .flatMap((line): readonly string[] => {
      try {
        const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
        return typeof msg === "string" && (level === "error" || level === "fatal") ? [msg] : [];
      } catch {
        // not a line of the log, or one that was cut short
        return [];
      }
    })
    .at(-1);
}
