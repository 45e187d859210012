/** Removes trees that containers or archives have filled. */
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { errnoOf, wrapErrno } from "../base/error.ts";

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

/** What the executor can do better: it has root's powers over every path length, and passes again over late comers. */
const beyondNode = ["EACCES", "EPERM", "ENAMETOOLONG", "ENOTEMPTY", "ENOENT"];

/** Removes `directory/name` with all that is in it; a settling layer may get its mark meanwhile. Missing is fine. */
export async function removeTree(directory: string, name: string, executor: () => string): Promise<void> {
  const path = `${directory}/${name}`;
  if (!lstatSync(path, { throwIfNoEntry: false })) return;
  try {
    // names are bytes: node:fs keeps them only in buffers
    if (removeSmall(Buffer.from(path), { left: smallTree })) return;
  } catch (error) {
    if (!beyondNode.includes(errnoOf(error) ?? "")) throw wrapErrno(error, "remove", path);
  }
  const [{ LayerSession }, { byteStringOf }] = await Promise.all([
    import("./layer-session.ts"),
    import("../wire/tar-format.ts"),
  ]);
  await using session = new LayerSession(executor(), "remove tree");
  session.add("remove-tree", { dir: byteStringOf(directory), name: byteStringOf(name) });
  await session.finish();
}
