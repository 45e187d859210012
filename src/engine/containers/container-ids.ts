/**
 * Ids of a container with a user namespace. In its layers and volumes they lie as it sees them, since what it mounts of
 * these is id-mapped; what it has of the host otherwise, and all that is seen through its processes, has the host's.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { errnoOf, GantryError, wrapErrno } from "../../base/error.ts";
import { parseIdMap, toContainerId, toHostId } from "../../linux/id-map.ts";
import type { IdMap } from "../../snapshots/pack.ts";
import type { IdMapping } from "../../spec/runtime-mount.ts";
import type { Internals } from "../internals.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

export interface IdMaps {
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
}

/** What a user namespace shows in the place of an id that it does not have (/proc/sys/kernel/overflowuid). */
const overflowId = 65_534;

const same: IdMap = { uid: (id) => id, gid: (id) => id };

/** Of the process's namespace; undefined if that is this one's, or the process has just ended. */
export function runningMaps(pid: number): IdMaps | undefined {
  const from = <T>(file: string, read: (path: string) => T): T | undefined => {
    try {
      return read(`/proc/${pid}/${file}`);
    } catch (error) {
      if (["ENOENT", "ESRCH"].includes(errnoOf(error) ?? "")) return undefined;
      throw wrapErrno(error, "read id map", `/proc/${pid}/${file}`);
    }
  };
  if (from("ns/user", readlinkSync) === readlinkSync("/proc/self/ns/user")) return undefined;
  const map = (file: string) => from(file, (path) => parseIdMap(readFileSync(path, "utf8")));
  const [uidMappings, gidMappings] = [map("uid_map"), map("gid_map")];
  return uidMappings && gidMappings ? { uidMappings, gidMappings } : undefined;
}

/** Of the namespace that it gets when it starts. */
export function restingMaps(internals: Internals, id: string): IdMaps | undefined {
  const { uidMappings = [], gidMappings = [] } = readRuntimeConfig(internals, id).linux ?? {};
  return uidMappings.length > 0 || gidMappings.length > 0 ? { uidMappings, gidMappings } : undefined;
}

export interface ContainerIds {
  readonly fromHost: IdMap;
  readonly toHost: IdMap;
  readonly stored: IdMap;
  readonly toStored: IdMap;
  /** Its root, as the host numbers it. */
  readonly root: { readonly uid: number; readonly gid: number };
}

export function containerIds(maps: IdMaps | undefined): ContainerIds {
  if (!maps) return { fromHost: same, toHost: same, stored: same, toStored: same, root: { uid: 0, gid: 0 } };
  const { uidMappings, gidMappings } = maps;
  const each = (one: (list: readonly IdMapping[], id: number) => number): IdMap => ({
    uid: (id) => one(uidMappings, id),
    gid: (id) => one(gidMappings, id),
  });
  const hostId = (list: readonly IdMapping[], id: number) => {
    const found = toHostId(list, id);
    if (found !== undefined) return found;
    // docker's words
    throw new GantryError("failed-precondition", `Container ID ${id} cannot be mapped to a host ID`);
  };
  return {
    fromHost: each((list, id) => toContainerId(list, id) ?? overflowId),
    toHost: each(hostId),
    stored: each((list, id) => (toHostId(list, id) === undefined ? overflowId : id)),
    toStored: each((list, id) => {
      hostId(list, id);
      return id;
    }),
    root: { uid: toHostId(uidMappings, 0) ?? 0, gid: toHostId(gidMappings, 0) ?? 0 },
  };
}
