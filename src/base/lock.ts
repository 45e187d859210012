/**
 * Locks between processes: a symbolic link whose target names its owner by pid, start time and boot. symlink(2) makes
 * it whole and only if it is not there. It is broken only when its owner is provably dead, and only by the one process
 * that holds the right to break that very lock. There is no flock in node:.
 */
import { readlinkSync, symlinkSync, unlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf, GantryError, wrapErrno } from "./error.ts";
import { ownerState, ownToken } from "./owner.ts";
import { randomHex } from "./random.ts";

export interface LockOptions {
  /** How long to wait for the owner; unavailable afterwards. Default 60 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

let token: string | undefined;

/** Takes the lock at `path`, whose folder must be there; disposing gives it back. */
export async function lockFile(path: string, options: LockOptions = {}): Promise<Disposable> {
  const { signal, timeoutMs = 60_000 } = options;
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    signal?.throwIfAborted();
    const lock = tryLockFile(path);
    if (lock) return lock;
    if (Date.now() > deadline)
      throw new GantryError(
        "unavailable",
        `lock "${path}": another process has held it for ${timeoutMs} ms`,
        {
          detail: { path, owner: read(path) },
        },
      );
    await sleep(pauseMs, undefined, signal ? { signal } : {});
  }
}

/** Takes the lock if nobody alive has it. */
export function tryLockFile(path: string): Disposable | undefined {
  for (;;) {
    const own = claim(path);
    if (own !== undefined) return { [Symbol.dispose]: () => release(path, own) };
    const held = read(path);
    if (held === undefined) continue;
    if (ownerState(held.split(" ")[0]!) !== "dead" || !breakDead(path, held)) return undefined;
  }
}

/** Makes the link with our name in it; undefined if it is there. */
function claim(path: string): string | undefined {
  token ??= ownToken();
  const own = `${token} ${randomHex(8)}`;
  try {
    symlinkSync(own, path);
    return own;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return undefined;
    throw wrapErrno(error, "lock", path);
  }
}

/**
 * Removes a lock whose owner is dead. The right to do so is a lock itself, named after the nonce of the dead one,
 * which is unique: so a process that looked long ago can never remove the lock of a later owner.
 */
function breakDead(path: string, dead: string): boolean {
  const right = `${path}.${dead.slice(dead.indexOf(" ") + 1)}`;
  const lock = tryLockFile(right);
  if (!lock) return false;
  try {
    if (read(path) === dead) remove(path);
    return true;
  } finally {
    lock[Symbol.dispose]();
  }
}

function release(path: string, own: string): void {
  if (read(path) === own) remove(path);
}

function read(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    // something else lies there, and nobody knows whose it is
    if (errnoOf(error) === "EINVAL") return "unknown";
    throw wrapErrno(error, "read lock", path);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "remove lock", path);
  }
}
