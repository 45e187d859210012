/**
 * Removes a tree that others may be changing. `rmSync` takes an entry that somebody else removes meanwhile for the end of
 * its work, and says nothing (Node 24, Bun 1.4: with `force`, ENOENT from anywhere below counts as "not there").
 */
import { existsSync, rmSync } from "node:fs";
import { errnoOf, wrapErrno } from "./error.ts";

const passes = 100;

/** Removes a file or directory with all that is in it; nothing, if it is not there. */
export function removeTree(path: string): void {
  for (let pass = 1; ; pass++) {
    try {
      rmSync(path, { recursive: true, force: true });
      if (!existsSync(path)) return;
      if (pass === passes)
        throw Object.assign(new Error("it is filled again and again"), { code: "ENOTEMPTY" });
    } catch (error) {
      // somebody has put something there
      if (errnoOf(error) !== "ENOTEMPTY" || pass === passes) throw wrapErrno(error, "remove", path);
    }
  }
}
