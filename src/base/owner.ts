/**
 * Tells whether the process that made a file still lives, so that what dead processes left can be
 * taken over. A process is named by its pid, its start time and the boot it belongs to: pids are
 * reused. There is no flock in node:.
 */
import { readFileSync, readlinkSync } from "node:fs";

/** `pid-starttime-pidnamespace-boot`, fit for a file name. */
export type OwnerToken = string;

const tokenForm = /^(\d+)-(\d+)-(\d+)-([0-9a-f]{8})$/;

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/<pid>/stat (proc(5)): start in clock ticks since boot. The name in field 2 may hold anything. */
function startTimeOf(pid: number | "self"): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  // Z and X are dead and wait to be reaped
  return fields === undefined || fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0";
  }
}

function bootId(): string {
  return readText("/proc/sys/kernel/random/boot_id")?.slice(0, 8) ?? "00000000";
}

/** The token of this process. */
export function ownToken(): OwnerToken {
  return `${process.pid}-${startTimeOf("self") ?? 0}-${pidNamespace()}-${bootId()}`;
}

/** alive, dead, or unknown: a process of another pid namespace cannot be seen from here. */
export function ownerState(token: OwnerToken): "alive" | "dead" | "unknown" {
  const match = tokenForm.exec(token);
  if (!match) return "unknown";
  const [, pid, start, namespace, boot] = match as unknown as [string, string, string, string, string];
  if (boot !== bootId()) return "dead";
  if (namespace !== pidNamespace()) return "unknown";
  return startTimeOf(Number(pid)) === start ? "alive" : "dead";
}
