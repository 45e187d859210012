/**
 * The records of all containers below the `containers` folder: one folder each, which is there from the first moment
 * of a creation to the last of a removal.
 *
 *     containers/<id>/container.json   the record; without it the container is being made, or its maker died
 *     containers/<id>/config.json      the runtime config of the bundle
 *     containers/<id>/log.json         what it printed, or log.cri; log.json.1 and so on before that
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { errnoOf, GantryError, isGantryError, wrapErrno } from "../../base/error.ts";
import { makePrivateDirectory, type StoreLayout } from "../store-layout.ts";
import { ContainerNames } from "./container-name.ts";
import { type ContainerRecord, decodeContainerRecord } from "./container-record.ts";

/** An exec that was on its way when its container ended may put something there while it is being removed. */
export function removeTree(dir: string): void {
  for (let tries = 1; ; tries++) {
    try {
      rmSync(dir, { recursive: true, force: true });
      return;
    } catch (error) {
      if (errnoOf(error) !== "ENOTEMPTY" || tries === 100) throw error;
    }
  }
}

const idForm = /^[0-9a-f]{64}$/;

export class ContainerStore {
  readonly names: ContainerNames;
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
    this.names = new ContainerNames(layout.names);
  }

  /** The folder of a container. */
  directory(id: string): string {
    return join(this.#layout.containers, id);
  }

  /** Where the shim of a container keeps its files. */
  stateDirectory(id: string): string {
    return join(this.#layout.taskStates, id);
  }

  /** Where its execs keep theirs, one folder each. */
  execsDirectory(id: string): string {
    return join(this.stateDirectory(id), "execs");
  }

  logPath(id: string, format: ContainerRecord["log"]["format"]): string {
    return join(this.directory(id), format === "cri" ? "log.cri" : "log.json");
  }

  /** Whether there is anything of it, a record or not. */
  exists(id: string): boolean {
    return existsSync(this.directory(id));
  }

  makeDirectory(id: string): void {
    makePrivateDirectory(this.#layout.containers);
    try {
      mkdirSync(this.directory(id), { mode: 0o700 });
    } catch (error) {
      throw wrapErrno(error, "make directory", this.directory(id));
    }
  }

  removeDirectory(id: string): void {
    try {
      removeTree(this.stateDirectory(id));
      rmSync(this.directory(id), { recursive: true, force: true });
    } catch (error) {
      throw wrapErrno(error, "remove directory", this.directory(id));
    }
  }

  /** Undefined while the container is being made, or if there is none. */
  read(id: string): ContainerRecord | undefined {
    const path = join(this.directory(id), "container.json");
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw wrapErrno(error, "read container record", path);
    }
    return decodeContainerRecord(bytes, path);
  }

  write(record: ContainerRecord): void {
    writeFileAtomic(join(this.directory(record.id), "container.json"), JSON.stringify(record));
  }

  /** The ids of all folders, those of half-made containers included. */
  ids(): readonly string[] {
    try {
      return readdirSync(this.#layout.containers).filter((name) => idForm.test(name));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw wrapErrno(error, "list containers", this.#layout.containers);
    }
  }

  /** Every record; what is unreadable goes to `onBroken` and is left out. */
  list(onBroken: (id: string, error: unknown) => void): readonly ContainerRecord[] {
    const records: ContainerRecord[] = [];
    for (const id of this.ids()) {
      try {
        const record = this.read(id);
        if (record) records.push(record);
      } catch (error) {
        if (!isGantryError(error)) throw error;
        onBroken(id, error);
      }
    }
    return records;
  }

  /** Finds a container by its full id, its name, or the beginning of its id, in this order. */
  find(text: string): ContainerRecord {
    const wanted = text.replace(/^\//, "");
    const id = this.#resolve(wanted);
    const record = id === undefined ? undefined : this.read(id);
    // the record decides what its name is: a rename that was killed leaves a link too many
    if (record && (record.name === wanted || record.id.startsWith(wanted))) return record;
    throw new GantryError("not-found", `No such container: ${text}`, { detail: { container: text } });
  }

  /** Id and name of a container, also of one whose record cannot be read: that one goes by its id. */
  identify(text: string): { readonly id: string; readonly name: string } {
    try {
      return this.find(text);
    } catch (error) {
      if (isGantryError(error, "not-found")) throw error;
      const id = this.#resolve(text);
      if (!isGantryError(error) || id === undefined) throw error;
      return { id, name: id.slice(0, 12) };
    }
  }

  #resolve(text: string): string | undefined {
    if (idForm.test(text)) return text;
    const named = this.names.find(text);
    if (named !== undefined) return named;
    if (!/^[0-9a-f]{1,63}$/.test(text)) return undefined;
    const [found, ...others] = this.ids().filter((id) => id.startsWith(text));
    if (others.length === 0) return found;
    throw new GantryError("invalid-argument", `multiple IDs found with provided prefix: ${text}`, {
      detail: { container: text, ids: [found, ...others] },
    });
  }
}
