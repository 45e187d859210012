/**
 * Which volumes a container holds: a file in the folder of the container, there before the first of them is asked for
 * and gone with the folder. So who removes volumes sees also the containers that are being made.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { array, boolean, type Decoded, object, optional, string } from "../../base/decode.ts";
import { readRecordFile } from "../../base/record-file.ts";
import type { ContainerStore } from "../containers/container-store.ts";

const shape = object({
  volumes: array(object({ name: string, anonymous: boolean })),
  /** Snapshots that show images. */
  views: array(string),
  /** Its anonymous volumes outlive it. */
  keep: optional(boolean),
});

export type References = Decoded<typeof shape>;

const limitBytes = 1024 * 1024;

function pathOf(containers: ContainerStore, id: string): string {
  return join(containers.directory(id), "volumes.json");
}

export function readReferences(containers: ContainerStore, id: string): References | undefined {
  return readRecordFile(pathOf(containers, id), { decoder: shape, what: "references", limitBytes });
}

export function writeReferences(containers: ContainerStore, id: string, references: References): void {
  writeFileAtomic(pathOf(containers, id), JSON.stringify(references));
}

/** The containers that hold each volume. */
export function volumeUsers(containers: ContainerStore): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>();
  for (const id of containers.ids())
    for (const { name } of readReferences(containers, id)?.volumes ?? [])
      users.set(name, [...(users.get(name) ?? []), id]);
  return users;
}
