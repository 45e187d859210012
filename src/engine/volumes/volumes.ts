/** Volumes: make, list, look at, remove. */
import { join } from "node:path";
import { GantryError } from "../../base/error.ts";
import { lockFile } from "../../base/lock.ts";
import { randomHex } from "../../base/random.ts";
import type { Internals } from "../internals.ts";
import { makePrivateDirectory } from "../store-layout.ts";
import { volumeUsers } from "./references.ts";
import { anonymousLabel, checkVolumeName, type VolumeRecord, volumeDevice } from "./volume-record.ts";
import { noSuchVolume, volumeStore } from "./volume-store.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

export interface CreateVolumeRequest {
  /** A random one if left out. */
  readonly name?: string | undefined;
  /** "local", the only one there is. */
  readonly driver?: string | undefined;
  /** Docker's options of that: type, device, o. */
  readonly options?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface Volume {
  readonly name: string;
  readonly driver: "local";
  /** RFC 3339. */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Where its content lies on the host. */
  readonly mountpoint: string;
  /** Ids of the containers that hold it. */
  readonly usedBy: readonly string[];
  /** Whether nobody has named it. */
  readonly anonymous: boolean;
}

export interface RemoveVolumeOptions extends Cancellable {
  /** One that is not there is no mistake. */
  readonly force?: boolean;
  /** Id of a container that does not count: it is being removed. */
  readonly except?: string;
}

export interface PruneVolumesOptions extends Cancellable {
  /** Also those that have a name. */
  readonly all?: boolean;
  /** Which of them. */
  readonly matches?: (volume: Volume) => boolean;
}

export interface PrunedVolumes {
  readonly names: readonly string[];
  readonly reclaimedBytes: number;
}

/** Who gives a volume its content, or removes it, holds its lock. */
export async function lockVolume(
  internals: Internals,
  name: string,
  options: Cancellable,
): Promise<Disposable> {
  makePrivateDirectory(internals.layout.locks);
  return await lockFile(join(internals.layout.locks, `volume.${name}`), options);
}

/** The record of a new volume. */
export function newVolume(request: CreateVolumeRequest): VolumeRecord {
  const { driver = "local", options = {}, labels = {} } = request;
  if (driver !== "local")
    throw new GantryError(
      "not-found",
      `error looking up volume plugin ${driver}: plugin ${JSON.stringify(driver)} not found`,
    );
  const name = request.name || randomHex(32);
  checkVolumeName(name);
  volumeDevice(options);
  const mark: Record<string, string> = request.name ? {} : { [anonymousLabel]: "" };
  return {
    version: 1,
    name,
    driver,
    createdAt: new Date().toISOString(),
    labels: { ...mark, ...labels },
    options,
  };
}

function volumeOf(
  internals: Internals,
  record: VolumeRecord,
  users: ReadonlyMap<string, readonly string[]>,
): Volume {
  const { version: _, ...rest } = record;
  return {
    ...rest,
    mountpoint: volumeStore(internals).dataPath(record.name),
    usedBy: users.get(record.name) ?? [],
    anonymous: Object.hasOwn(record.labels, anonymousLabel),
  };
}

/** Makes a volume; one of that name that is there already is handed back as it is. */
export async function createVolume(
  internals: Internals,
  request: CreateVolumeRequest,
  options: Cancellable = {},
): Promise<Volume> {
  options.signal?.throwIfAborted();
  const record = newVolume(request);
  if (volumeStore(internals).create(record))
    internals.events.append("volume", "create", record.name, { driver: record.driver });
  const made = volumeStore(internals).read(record.name);
  if (!made) throw noSuchVolume(record.name);
  return volumeOf(internals, made, volumeUsers(internals.containers));
}

export async function listVolumes(
  internals: Internals,
  options: Cancellable = {},
): Promise<readonly Volume[]> {
  options.signal?.throwIfAborted();
  await volumeStore(internals).sweep();
  const users = volumeUsers(internals.containers);
  return volumeStore(internals)
    .list((volume, error) =>
      internals.logger.warn("a volume cannot be read", { volume, error: (error as Error).message }),
    )
    .map((record) => volumeOf(internals, record, users));
}

export async function findVolume(
  internals: Internals,
  name: string,
  options: Cancellable = {},
): Promise<Volume> {
  options.signal?.throwIfAborted();
  checkVolumeName(name);
  const record = volumeStore(internals).read(name);
  if (!record) throw noSuchVolume(name);
  return volumeOf(internals, record, volumeUsers(internals.containers));
}

/** Removes a volume that no container holds. */
export async function removeVolume(
  internals: Internals,
  name: string,
  options: RemoveVolumeOptions = {},
): Promise<void> {
  checkVolumeName(name);
  using _ = await lockVolume(internals, name, options);
  const users = (volumeUsers(internals.containers).get(name) ?? []).filter((id) => id !== options.except);
  if (users.length > 0)
    throw new GantryError("failed-precondition", `remove ${name}: volume is in use - [${users.join(", ")}]`, {
      detail: { volume: name, containers: users },
    });
  options.signal?.throwIfAborted();
  if (await volumeStore(internals).remove(name))
    internals.events.append("volume", "destroy", name, { driver: "local" });
  else if (!options.force) throw noSuchVolume(name);
}

/** Removes volumes that no container holds. */
export async function pruneVolumes(
  internals: Internals,
  { all = false, matches = () => true, signal }: PruneVolumesOptions = {},
): Promise<PrunedVolumes> {
  const cancellable = signal ? { signal } : {};
  const { diskUsage } = await import("../../snapshots/disk-usage.ts");
  const names: string[] = [];
  let reclaimedBytes = 0;
  for (const volume of await listVolumes(internals, cancellable)) {
    if (volume.usedBy.length > 0 || !(all || volume.anonymous) || !matches(volume)) continue;
    const { sizeBytes } = await diskUsage(volume.mountpoint, cancellable);
    try {
      await removeVolume(internals, volume.name, { force: true, ...cancellable });
    } catch (error) {
      // somebody has begun to use it
      if (!(error instanceof GantryError) || error.code !== "failed-precondition") throw error;
      continue;
    }
    names.push(volume.name);
    reclaimedBytes += sizeBytes;
  }
  return { names, reclaimedBytes };
}
