/**
 * The volumes below the `volumes` folder, one folder each:
 *
 *     volumes/<name>/volume.json   the record
 *     volumes/<name>/_data         what containers see
 *     volumes/<name>/copied        the image's content, whole, on its way into _data; `copying` and `links` before
 *     volumes/.<owner>.<random>    on its way in or out
 *
 * A volume appears and goes by a rename. What a dead process left on the way is removed by whoever looks next.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { errnoOf, GantryError, wrapErrno } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { ownerState, ownToken } from "../../base/owner.ts";
import { randomHex } from "../../base/random.ts";
import { readRecordFile } from "../../base/record-file.ts";
import type { Internals } from "../internals.ts";
import { readEach } from "../record-store.ts";
import { makePrivateDirectory } from "../store-layout.ts";
import { anonymousLabel, type VolumeRecord, volumeRecordForm } from "./volume-record.ts";

export interface VolumeStoreOptions {
  readonly directory: string;
  /** Path of the executor, asked for when it is needed. */
  readonly executor: () => string;
}

export class VolumeStore {
  readonly #directory: string;
  readonly #executor: () => string;

  constructor({ directory, executor }: VolumeStoreOptions) {
    this.#directory = directory;
    this.#executor = executor;
  }

  directory(name: string): string {
    return join(this.#directory, name);
  }

  /** What a container sees of it. */
  dataPath(name: string): string {
    return join(this.directory(name), "_data");
  }

  read(name: string): VolumeRecord | undefined {
    return readRecordFile(join(this.directory(name), "volume.json"), volumeRecordForm);
  }

  /** Makes a volume; false if there is one of that name. */
  create(record: VolumeRecord): boolean {
    makePrivateDirectory(this.#directory);
    const staged = this.#stagingPath();
    try {
      mkdirSync(staged, { mode: 0o700 });
      mkdirSync(join(staged, "_data"), { mode: 0o755 });
      // one that nobody has named is found again by nobody but its container
      const durable = !Object.hasOwn(record.labels, anonymousLabel);
      writeFileAtomic(join(staged, "volume.json"), JSON.stringify(record), { durable });
      faultPoint("volume-staged");
      renameSync(staged, this.directory(record.name));
      return true;
    } catch (error) {
      rmSync(staged, { recursive: true, force: true });
      if (errnoOf(error) === "ENOTEMPTY" || errnoOf(error) === "EEXIST") return false;
      throw wrapErrno(error, "create volume", this.directory(record.name));
    }
  }

  /** False if there is none. */
  async remove(name: string): Promise<boolean> {
    const away = this.#stagingPath();
    try {
      renameSync(this.directory(name), away);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw wrapErrno(error, "remove volume", this.directory(name));
    }
    faultPoint("volume-away");
    await this.#removeTree(away);
    return true;
  }

  names(): readonly string[] {
    return this.#entries().filter((name) => !name.startsWith("."));
  }

  /** Every record, by name; what is unreadable goes to `onBroken` and is left out. */
  list(onBroken: (name: string, error: unknown) => void): readonly VolumeRecord[] {
    return readEach([...this.names()].sort(), (name) => this.read(name), onBroken);
  }

  /** Whether a container would get content of its image in this volume. */
  awaitsContent(name: string): boolean {
    try {
      return (
        readdirSync(this.dataPath(name)).length === 0 || existsSync(join(this.directory(name), "copied"))
      );
    } catch (error) {
      throw wrapErrno(error, "look into volume", this.dataPath(name));
    }
  }

  /** Removes what dead processes left. */
  async sweep(): Promise<void> {
    for (const name of this.#entries())
      if (name.startsWith(".") && ownerState(name.slice(1).split(".")[0]!) === "dead")
        await this.#removeTree(join(this.#directory, name));
  }

  #entries(): readonly string[] {
    try {
      return readdirSync(this.#directory);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw wrapErrno(error, "list volumes", this.#directory);
    }
  }

  #stagingPath(): string {
    return join(this.#directory, `.${ownToken()}.${randomHex(6)}`);
  }

  async #removeTree(path: string): Promise<void> {
    const { removeTree } = await import("../../snapshots/remove-tree.ts");
    await removeTree(this.#directory, path.slice(this.#directory.length + 1), this.#executor);
  }
}

export function volumeStore({ layout, executor }: Internals): VolumeStore {
  return new VolumeStore({ directory: layout.volumes, executor });
}

/** In docker's words. */
export function noSuchVolume(name: string): GantryError {
  return new GantryError("not-found", `get ${name}: no such volume`, { detail: { volume: name } });
}
