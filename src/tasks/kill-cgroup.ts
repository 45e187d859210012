/** Kills whatever runs in a cgroup and below it, on cgroup v1 and v2. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import type { Cancellable } from "./task.ts";

/** The cgroup went, or one of its processes did, between two looks. */
const gone = new Set(["ENOENT", "ENODEV", "ESRCH"]);

function unlessGone<T>(what: string, path: string, action: () => T, otherwise: T): T {
  try {
    return action();
  } catch (error) {
    if (gone.has(errnoOf(error) ?? "")) return otherwise;
    throw wrapErrno(error, what, path);
  }
}

/** Pids in a cgroup and in those below it, as this pid namespace numbers them. */
function processesBelow(dir: string): readonly number[] {
  const path = join(dir, "cgroup.procs");
  const own = unlessGone("read cgroup", path, () => readFileSync(path, "utf8"), "")
    .split("\n")
    .filter(Boolean)
    .map(Number);
  const below = unlessGone("list cgroup", dir, () => readdirSync(dir, { withFileTypes: true }), []);
  return [
    ...own,
    ...below.filter((entry) => entry.isDirectory()).flatMap((entry) => processesBelow(join(dir, entry.name))),
  ];
}

function writeIfThere(path: string, value: string): boolean {
  return unlessGone(
    "write cgroup file",
    path,
    () => {
      if (!existsSync(path)) return false;
      writeFileSync(path, value);
      return true;
    },
    false,
  );
}

function killProcesses(pids: readonly number[]): void {
  for (const pid of pids) {
    // 0 stands for a process of another pid namespace, -1 and 1 must never be signalled
    if (pid <= 1) throw new GantryError("internal", `kill cgroup: it holds process ${pid}`);
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if (errnoOf(error) !== "ESRCH") throw wrapErrno(error, `kill process ${pid}`);
    }
  }
}

/** On v1 a process that is frozen ends when it goes on (the kernel's freezer-subsystem.rst); on v2 where it stands. */
export function thawCgroup(dir: string): void {
  writeIfThere(join(dir, "freezer.state"), "THAWED");
}

/**
 * Kills every process of the cgroup directory `dir`, also those that fork meanwhile (a v1 freezer that holds them is a
 * hierarchy of its own, which the caller names too); deadline-exceeded
 * if some still live after `timeoutMs` (uninterruptible input or output).
 */
export async function killCgroup(
  dir: string,
  options: Cancellable & { readonly timeoutMs?: number } = {},
): Promise<void> {
  const { timeoutMs = 10_000, signal } = options;
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    const pids = processesBelow(dir);
    if (pids.length === 0) return;
    if (Date.now() > deadline)
      throw new GantryError(
        "deadline-exceeded",
        `kill cgroup "${dir}": processes ${pids.join(", ")} do not end`,
        {
          detail: { dir, pids },
        },
      );
    // v2 does it in one act (kernel 5.14); elsewhere nobody may fork while we walk the list
    if (!writeIfThere(join(dir, "cgroup.kill"), "1")) {
      const frozen =
        writeIfThere(join(dir, "freezer.state"), "FROZEN") || writeIfThere(join(dir, "cgroup.freeze"), "1");
      killProcesses(processesBelow(dir));
      if (frozen && !writeIfThere(join(dir, "freezer.state"), "THAWED"))
        writeIfThere(join(dir, "cgroup.freeze"), "0");
    }
    await pause(pauseMs, undefined, signal ? { signal } : {});
  }
}
