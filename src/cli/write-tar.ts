/** An archive to standard output, or to a file that appears only when it is whole. */
import { closeSync, openSync, renameSync, rmSync } from "node:fs";
import { writeFully } from "../base/atomic-file.ts";
import { wrapErrno } from "../base/error.ts";
import { writeAll } from "./output.ts";

export async function writeTar(tar: AsyncIterable<Uint8Array>, path: string | undefined): Promise<void> {
  if (path === undefined) {
    // a reader that has gone away wants no more
    for await (const chunk of tar) if (!writeAll(1, chunk)) return;
    return;
  }
  const temporary = `${path}.${process.pid}.part`;
  let fd: number | undefined;
  try {
    fd = openSync(temporary, "wx", 0o600);
    for await (const chunk of tar) writeFully(fd, chunk);
    closeSync(fd);
    fd = undefined;
    renameSync(temporary, path);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    rmSync(temporary, { force: true });
    throw wrapErrno(error, "write", path);
  }
}
