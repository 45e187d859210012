/** Blocks and inodes of a tree, hard links counted once. */
import { lstat, readdir } from "node:fs/promises";
import { errnoOf, wrapErrno } from "../base/error.ts";
import type { SnapshotUsage } from "./snapshotter.ts";

const slash = Buffer.from("/");

/** Walks `directory`; what disappears meanwhile does not count. */
export async function diskUsage(
  directory: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<SnapshotUsage> {
  const linked = new Set<string>();
  let sizeBytes = 0;
  let inodes = 0;
  const pending: Buffer[] = [Buffer.from(directory)];
  try {
    for (let path = pending.pop(); path; path = pending.pop()) {
      options.signal?.throwIfAborted();
      const here = path;
      const stat = await lstat(here).catch(ignoreMissing);
      if (!stat) continue;
      if (stat.nlink > 1 && !stat.isDirectory()) {
        const id = `${stat.dev}:${stat.ino}`;
        if (linked.has(id)) continue;
        linked.add(id);
      }
      inodes++;
      sizeBytes += stat.blocks * 512;
      if (!stat.isDirectory()) continue;
      const names = await readdir(here, { encoding: "buffer" }).catch(ignoreMissing);
      for (const name of names ?? []) pending.push(Buffer.concat([here, slash, name]));
    }
  } catch (error) {
    throw wrapErrno(error, "measure", directory);
  }
  return { sizeBytes, inodes };
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
  throw error;
}
