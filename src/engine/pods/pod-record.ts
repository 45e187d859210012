/** What is kept of a pod: one JSON file, replaced atomically. Its present state is asked of the kernel instead. */
import {
  boolean,
  type Decoded,
  integer,
  object,
  oneOf,
  optional,
  record,
  string,
} from "../../base/decode.ts";
import { type RecordForm, recordTime } from "../../base/record-file.ts";
import type { PodLimits } from "../../bundle/pod-config.ts";
import { idMappings } from "../../spec/runtime-mount.ts";
import { recordId } from "../record-store.ts";

const mode = oneOf("pod", "host", "container");

const shape = object({
  version: integer(1, 1),
  id: recordId,
  name: string,
  createdAt: recordTime,
  labels: record(string),
  hostname: string,
  namespaces: object({ network: mode, ipc: mode, uts: mode, pid: mode }),
  /** Id maps of a user namespace that its containers share. */
  users: optional(object({ uidMappings: idMappings, gidMappings: idMappings })),
  sysctls: record(string),
  /** Absolute path of the cgroup that its own is made in. */
  cgroupParent: string,
  /** False: its containers go directly into `cgroupParent`, which is somebody else's. */
  ownsCgroup: boolean,
  limits: (value: unknown) => value as PodLimits,
  shmSizeBytes: integer(1),
  /** Boot in which it was last started; absent once it is stopped. */
  startedInBoot: optional(string),
  lastStop: optional(object({ finishedAt: recordTime, error: optional(string) })),
  /** Its removal has begun: it takes no container any more. */
  removing: optional(boolean),
});

export type PodRecord = Decoded<typeof shape>;

export const podRecordForm: RecordForm<PodRecord> = {
  decoder: shape,
  what: "pod record",
  limitBytes: 1024 * 1024,
};

/** The cgroup of its containers. */
export function podCgroup({ id, cgroupParent, ownsCgroup }: PodRecord): string {
  return ownsCgroup ? `${cgroupParent.replace(/\/$/, "")}/pod-${id}` : cgroupParent;
}

export function podAttributes(pod: PodRecord): Readonly<Record<string, string>> {
  return { ...pod.labels, name: pod.name };
}
