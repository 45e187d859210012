/** Whether what a pod holds is there: told by its record on the run-time side, and by the kernel. */
import { readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { integer, object, optional, string } from "../../base/decode.ts";
import { errnoOf, wrapErrno } from "../../base/error.ts";
import { readRecordFile } from "../../base/record-file.ts";
import { podNamespaceKinds } from "../../bundle/pod-config.ts";
import type { NamespaceKind } from "../../linux/namespaces.ts";
import { parseProcStat } from "../../linux/proc-stat.ts";
import { podPlaces } from "../../plan/compile/pod.ts";
import { stateFiles } from "../../plan/state-files.ts";
import { isAlive } from "../../tasks/liveness.ts";
import type { ProcessIdentity } from "../../tasks/records.ts";
import type { PodRecord } from "./pod-record.ts";

/** statfs(2) of a mount that shows a namespace. */
const nsfsType = 0x6e736673;

const form = object({
  id: string,
  startedAt: string,
  pid: optional(integer(1, 0x7fffffff)),
  pidStart: optional(integer(0)),
});

export interface Sandbox {
  /** RFC 3339 with nanoseconds. */
  readonly startedAt: string;
  readonly pause?: ProcessIdentity;
}

const limitBytes = 64 * 1024;

/** What a start has left in `dir`, whether it still holds or not. */
export function readSandbox(dir: string): Sandbox | undefined {
  const found = readRecordFile(join(dir, stateFiles.sandbox), {
    decoder: form,
    what: "record of a start",
    limitBytes,
  });
  if (!found) return undefined;
  const { startedAt, pid, pidStart } = found;
  if (pid === undefined || pidStart === undefined) return { startedAt };
  return { startedAt, pause: { pid, startTime: pidStart } };
}

const starterForm = object({ pid: integer(1, 0x7fffffff), startTime: integer(0) });

/** Told before the executor has the plan: whoever undoes a start ends it first. */
export function recordStarter(dir: string, pid: number): void {
  const { startTime } = parseProcStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  writeFileAtomic(join(dir, stateFiles.starter), JSON.stringify({ pid, startTime }));
}

/** The executor that starts a pod, or has started it. */
export function readStarter(dir: string): ProcessIdentity | undefined {
  return readRecordFile(join(dir, stateFiles.starter), {
    decoder: starterForm,
    what: "record of a starter",
    limitBytes,
  });
}

/** Kinds that are held by mounts. */
export function pinnedKinds({ namespaces, users }: PodRecord): readonly NamespaceKind[] {
  const shared = podNamespaceKinds.filter((kind) => kind !== "pid" && namespaces[kind] === "pod");
  return users ? [...shared, "user"] : shared;
}

function isPinned(path: string): boolean {
  try {
    return statfsSync(path).type === nsfsType;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw wrapErrno(error, "read pinned namespace", path);
  }
}

/** What is missing of a pod that has a record of its start. */
export function brokenBecause(pod: PodRecord, dir: string, { pause }: Sandbox): string | undefined {
  const lost = pinnedKinds(pod).find((kind) => !isPinned(podPlaces.namespace(dir, kind)));
  if (lost !== undefined) return `its ${lost} namespace is not held any more`;
  if (pod.namespaces.pid === "pod" && (!pause || !isAlive(pause))) return "its pause process has ended";
  return undefined;
}
