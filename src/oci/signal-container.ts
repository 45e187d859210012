/** Signals to a container, whatever its cgroups hold and whether it stands still. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { cgroupFor } from "../plan/compile/living-cgroups.ts";
import { cgroupDirectory, processesOf } from "./cgroup-files.ts";
import { isAlive, type OciContainer, type StateCgroup } from "./state-directory.ts";

const SIGKILL = 9;
/** A process may fork while its group is signalled; who forks faster than this is not stopped by signals. */
const roundLimit = 100;

function signalProcess(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw wrapErrno(error, `signal process ${pid}`);
  }
}

/** Writes to a file of a cgroup; false where the kernel does not have it, or the cgroup is gone. */
function writeIfThere(cgroup: StateCgroup | undefined, file: string, value: string): boolean {
  if (!cgroup) return false;
  const path = join(cgroupDirectory(cgroup), file);
  try {
    writeFileSync(path, value, { flag: "r+" });
    return true;
  } catch (error) {
    if (["ENOENT", "ENODEV"].includes(errnoOf(error) ?? "")) return false;
    throw wrapErrno(error, "write", path);
  }
}

/** What is killed while a v1 freezer holds it ends when it thaws. A v2 one lets it end. */
function thawKilled(cgroups: readonly StateCgroup[]): void {
  writeIfThere(cgroupFor(cgroups, 1, "freezer"), "freezer.state", "THAWED");
}

/** Signals everything in the container's cgroups. */
export function signalAll(cgroups: readonly StateCgroup[], signal: number): void {
  // since Linux 5.14; what has left the v2 tree is still in those of v1
  if (signal === SIGKILL) writeIfThere(cgroupFor(cgroups, 2, ""), "cgroup.kill", "1");
  const signalled = new Set<number>();
  for (let round = 0; round < roundLimit; round++) {
    const fresh = processesOf(cgroups).filter((pid) => !signalled.has(pid));
    if (fresh.length === 0) break;
    for (const pid of fresh) {
      signalled.add(pid);
      signalProcess(pid, signal);
    }
  }
  if (signal === SIGKILL) thawKilled(cgroups);
}

/** Signals init, and with SIGKILL all of a container whose end does not come with init's. */
export function signalContainer(container: OciContainer, signal: number): void {
  // without a pid namespace of its own the end of init does not end the rest
  if (signal === SIGKILL && !container.ownPids) signalAll(container.cgroups, signal);
  if (isAlive(container)) signalProcess(container.pid, signal);
  if (signal === SIGKILL) thawKilled(container.cgroups);
}
