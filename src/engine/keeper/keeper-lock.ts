/** That one process at a time keeps a store; and which one does. */
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { tryLockFile } from "../../base/lock.ts";
import { makePrivateDirectory, type StoreLayout } from "../store-layout.ts";

/** `owner`: the pid of another process that has it; undefined if it is ours. */
export type Held = Disposable & { readonly owner: number | undefined };

export function tryHold(layout: StoreLayout): Held {
  makePrivateDirectory(layout.locks);
  const path = join(layout.locks, "keeper");
  const lock = tryLockFile(path);
  return { owner: lock ? undefined : ownerOf(path), [Symbol.dispose]: () => lock?.[Symbol.dispose]() };
}

/** 0 if it has just let go. */
function ownerOf(path: string): number {
  try {
    return Number(readlinkSync(path).split("-")[0]) || 0;
  } catch {
    return 0;
  }
}
