/**
 * A path of a view, with its symlinks resolved inside of it, as a process whose root it is would. The result holds no
 * symlink above its end, and whoever uses it crosses none: what is swapped meanwhile is not found.
 */
import { GantryError } from "../base/error.ts";
import { type ByteString, textOfByteString } from "../wire/tar-format.ts";
import { join, parentOf, rootPath } from "./layer-path.ts";
import type { TreeEntry } from "./tree-entry.ts";
import type { TreeSession } from "./tree-session.ts";

/** As many as the kernel follows (path_resolution(7)). */
const linkLimit = 40;

export interface ResolvedPath {
  /** "" is the root. */
  readonly path: ByteString;
  /** Undefined if nothing is there; the directory that would hold it is. */
  readonly entry: TreeEntry | undefined;
}

export interface ResolveOptions {
  /** Whether a symlink at the end of the path is followed. One before a trailing slash always is. */
  readonly follow: boolean;
}

/** Undefined if the directory above the end of the path is not there. */
export async function resolveInView(
  session: TreeSession,
  root: number,
  path: ByteString,
  { follow }: ResolveOptions,
): Promise<ResolvedPath | undefined> {
  const broken = (reason: string) =>
    new GantryError("failed-precondition", `resolve ${JSON.stringify(textOfByteString(path))}: ${reason}`);
  let rest = path.split("/") as ByteString[];
  let at = rootPath;
  let entry = await session.stat(root, rootPath);
  for (let links = 0; ; ) {
    const name = rest.shift();
    if (name === undefined) return { path: at, entry };
    const last = rest.length === 0;
    if (entry?.type !== "directory") {
      if (entry === undefined) return name === "" && last ? { path: at, entry } : undefined;
      throw broken("not a directory");
    }
    if (name === "" || name === ".") continue;
    if (name === "..") {
      at = parentOf(at);
      entry = await session.stat(root, at);
      continue;
    }
    const found = await session.stat(root, join(at, name));
    if (found?.type === "symlink" && (follow || !last)) {
      if (++links > linkLimit) throw broken("too many levels of symbolic links");
      rest = [...(found.linkPath.split("/") as ByteString[]), ...rest];
      if (found.linkPath.startsWith("/")) {
        at = rootPath;
        entry = await session.stat(root, rootPath);
      }
      continue;
    }
    at = join(at, name);
    entry = found;
  }
}
