/** `--cidfile`: the id of a container in a file that must not be there before. */
import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";

/** Takes the place; `write` fills it, and disposing before that gives it back. */
export function reserveCidFile(path: string): { write(id: string): void } & Disposable {
  let fd: number;
  try {
    fd = openSync(path, "wx", 0o644);
  } catch (error) {
    if (errnoOf(error) === "EEXIST")
      throw new GantryError(
        "already-exists",
        `container ID file found, make sure the other container isn't running or delete ${path}`,
        { detail: { path } },
      );
    throw wrapErrno(error, "failed to create the container ID file", path);
  }
  let written = false;
  return {
    write(id) {
      writeSync(fd, id);
      written = true;
    },
    [Symbol.dispose]() {
      closeSync(fd);
      if (!written) unlinkSync(path);
    },
  };
}
