/** Files that are either the old or the new content, never a part: temporary name, then rename. */
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { wrapErrno } from "./error.ts";
import { randomHex } from "./random.ts";

export interface AtomicWriteOptions {
  /** Permission bits of the new file; 0o600 unless told. */
  readonly mode?: number;
  /** Also survive a power cut: fsync of the file and of its directory (milliseconds on a disk). */
  readonly durable?: boolean;
}

/** Writes all of `data`, whatever short writes the kernel makes. */
export function writeFully(fd: number, data: Uint8Array): void {
  for (let offset = 0; offset < data.length; ) offset += writeSync(fd, data, offset, data.length - offset);
}

/** Flushes a directory, so that the names in it survive a power cut. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Replaces `path` with `data` in one step. On failure the old content stands and nothing is left. */
export function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions = {},
): void {
  const temporary = `${path}.${process.pid}.${randomHex(4)}.tmp`;
  let fd: number | undefined;
  try {
    fd = openSync(temporary, "wx", options.mode ?? 0o600);
    writeFully(fd, typeof data === "string" ? Buffer.from(data) : data);
    if (options.durable) fsyncSync(fd);
    closeSync(fd);
    fd = undefined;
    renameSync(temporary, path);
    if (options.durable) syncDirectory(dirname(path));
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    try {
      unlinkSync(temporary);
    } catch {
      // it was never made, or is already renamed
    }
    throw wrapErrno(error, "write", path);
  }
}
