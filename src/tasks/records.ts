/**
 * What a shim leaves on disk about its container, in one directory that the engine makes anew for every
 * start: start.json before the program runs, exit.json when all is over.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { array, boolean, type Decoder, integer, object, optional, string } from "../base/decode.ts";
import { readRecordFile } from "../base/record-file.ts";
import { stateFiles } from "../plan/state-files.ts";

export const { start: startRecordName, exit: exitRecordName, socket: shimSocketName } = stateFiles;

/** A process by number and start time, which together are never used twice within one boot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
}

export interface StartRecord {
  readonly init: ProcessIdentity;
  readonly shim: ProcessIdentity;
  /** RFC 3339 with nanoseconds. */
  readonly startedAt: string;
  /** The container's cgroups, one in each hierarchy. */
  readonly cgroups: readonly CgroupPlace[];
}

export interface CgroupPlace {
  /** Mount point of the hierarchy. */
  readonly mount: string;
  /** Below it. */
  readonly path: string;
}

export interface ExitRecord {
  /** Exit status, or 128 + signal. */
  readonly code: number;
  /** The signal that ended it, 0 for none. */
  readonly signal: number;
  /** RFC 3339 with nanoseconds. */
  readonly exitedAt: string;
  /** Whether the kernel killed something of it for want of memory. */
  readonly oomKilled: boolean;
  /** Bytes of log entries that could not be written, on a full disk for example. */
  readonly logBytesLost?: number;
  /** Set where the status is not the container's own word. */
  readonly error?: string;
}

const pid = integer(1, 0x7fffffff);
const ticks = integer(0);

const startForm = object({
  pid,
  pidStart: ticks,
  shim: pid,
  shimStart: ticks,
  startedAt: string,
  cgroups: optional(array(object({ mount: string, path: string }), 64)),
});

const exitForm = object({
  code: integer(0, 255),
  signal: integer(0, 64),
  finishedAt: string,
  oom: boolean,
  logBytesLost: optional(integer(0)),
  error: optional(string),
});

function readRecord<T>(dir: string, name: string, decoder: Decoder<T>): T | undefined {
  return readRecordFile(join(dir, name), { decoder, what: "record", limitBytes: 64 * 1024 });
}

/** undefined until the program is about to start. */
export function readStartRecord(dir: string): StartRecord | undefined {
  const found = readRecord(dir, startRecordName, startForm);
  return (
    found && {
      init: { pid: found.pid, startTime: found.pidStart },
      shim: { pid: found.shim, startTime: found.shimStart },
      startedAt: found.startedAt,
      cgroups: found.cgroups ?? [],
    }
  );
}

/** undefined until the container is over. */
export function readExitRecord(dir: string): ExitRecord | undefined {
  const found = readRecord(dir, exitRecordName, exitForm);
  if (!found) return undefined;
  const { code, signal, finishedAt: exitedAt, oom: oomKilled, logBytesLost, error } = found;
  return {
    code,
    signal,
    exitedAt,
    oomKilled,
    ...(logBytesLost ? { logBytesLost } : {}),
    ...(error === undefined ? {} : { error }),
  };
}

/** Writes the record that a killed shim could not write, in the same form. */
export function writeExitRecord(dir: string, exit: ExitRecord): void {
  const { code, signal, exitedAt: finishedAt, oomKilled: oom, error } = exit;
  const form = { code, signal, oom, finishedAt, ...(error === undefined ? {} : { error }) };
  writeFileAtomic(join(dir, exitRecordName), `${JSON.stringify(form)}\n`);
}
