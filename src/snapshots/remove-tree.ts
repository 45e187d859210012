/** Removes trees that containers or archives have filled. */
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { byteStringOf } from "../wire/tar-format.ts";
import { LayerSession } from "./layer-session.ts";

/** Entries that are removed here; starting the executor costs as much as a few dozen. */
const smallTree = 64;

const slash = Buffer.from("/");

/** Removes what it can within the budget; false if the budget or the path length did not suffice. */
function removeSmall(path: Buffer, budget: { left: number }): boolean {
  if (--budget.left < 0 || path.length > 3500) return false;
  if (!lstatSync(path).isDirectory()) {
    unlinkSync(path);
    return true;
  }
  for (const name of readdirSync(path, { encoding: "buffer" }))
    if (!removeSmall(Buffer.concat([path, slash, name]), budget)) return false;
  rmdirSync(path);
  return true;
}

/** Removes `directory/name` with all that is in it. Nobody else may use it. Missing is fine. */
export async function removeTree(directory: string, name: string, executor: () => string): Promise<void> {
  try {
    // names are bytes: node:fs keeps them only in buffers
    if (removeSmall(Buffer.from(`${directory}/${name}`), { left: smallTree })) return;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") return;
    if (errno !== "EACCES" && errno !== "EPERM" && errno !== "ENAMETOOLONG")
      throw wrapErrno(error, "remove", `${directory}/${name}`);
  }
  await using session = new LayerSession(executor(), "remove tree");
  session.add("remove-tree", { dir: byteStringOf(directory), name: byteStringOf(name) });
  await session.finish();
}
