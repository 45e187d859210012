/**
 * Removes a tree that others may be changing. `rmSync` takes an entry that somebody else removes meanwhile for the end of
 * its work, and says nothing (Node 24, Bun 1.4: with `force`, ENOENT from anywhere below counts as "not there").
 */
import { existsSync, rmSync } from "node:fs";
import { errnoOf, GantryError, wrapErrno } from "./error.ts";

const passes = 100;

/** Removes a file or directory with all that is in it; nothing, if it is not there. */
export function removeTree(path: string): void {
  for (let pass = 0; pass < passes; pass++) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch (error) {
      // somebody has put something there
      if (errnoOf(error) !== "ENOTEMPTY") throw wrapErrno(error, "remove", path);
    }
    if (!existsSync(path)) return;
  }
  throw new GantryError("failed-precondition", `remove "${path}": it is filled again and again`, {
    detail: { path },
  });
}
