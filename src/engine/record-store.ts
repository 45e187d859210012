/**
 * Records of one kind, containers or pods: a folder each by id, which is there from the first moment of a creation to
 * the last of a removal, and beside it one on the run-time side. The record is a file of the former, replaced
 * atomically; without it the thing is being made or removed, or who did so died. Names are links to the ids.
 */
import { existsSync, mkdirSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { pattern } from "../base/decode.ts";
import { errnoOf, GantryError, isGantryError, wrapErrno } from "../base/error.ts";
import { type RecordForm, readRecordFile } from "../base/record-file.ts";
import { removeTree } from "../base/remove-tree.ts";
import { RecordNames } from "./record-names.ts";
import { makePrivateDirectory } from "./store-layout.ts";

const idForm = /^[0-9a-f]{64}$/;
export const recordId = pattern(idForm, "an id of 64 hexadecimal digits");

export interface RecordKind<R> {
  /** "container": for people. */
  readonly noun: string;
  readonly form: RecordForm<R>;
  /** Name of the record's file. */
  readonly file: string;
  /** The folders of all: on the disk, on the run-time side, and that of the names. */
  readonly places: { readonly records: string; readonly states: string; readonly names: string };
  readonly noSuch: (text: string) => GantryError;
  /** What is said where several ids begin so. */
  readonly ambiguous: (text: string) => string;
}

export class RecordStore<R extends { readonly id: string; readonly name: string }> {
  readonly names: RecordNames;
  readonly #kind: RecordKind<R>;

  get noun(): string {
    return this.#kind.noun;
  }

  constructor(kind: RecordKind<R>) {
    this.#kind = kind;
    this.names = new RecordNames(kind.places.names);
  }

  directory(id: string): string {
    return join(this.#kind.places.records, id);
  }

  /** Its place on the run-time side. */
  stateDirectory(id: string): string {
    return join(this.#kind.places.states, id);
  }

  /** Whether there is anything of it, a record or not. */
  exists(id: string): boolean {
    return existsSync(this.directory(id));
  }

  makeDirectory(id: string): void {
    makePrivateDirectory(this.#kind.places.records);
    try {
      mkdirSync(this.directory(id), { mode: 0o700 });
    } catch (error) {
      throw wrapErrno(error, "make directory", this.directory(id));
    }
  }

  removeStateDirectory(id: string): void {
    removeTree(this.stateDirectory(id));
  }

  /** Both sides. */
  removeDirectory(id: string): void {
    this.removeStateDirectory(id);
    removeTree(this.directory(id));
  }

  /** Undefined while it is being made, or if there is none. */
  read(id: string): R | undefined {
    return readRecordFile(this.#recordPath(id), this.#kind.form);
  }

  write(record: R): void {
    writeFileAtomic(this.#recordPath(record.id), JSON.stringify(record));
  }

  /** From then on whoever finds the rest knows that it is to be cleared. */
  removeRecord(id: string): void {
    try {
      unlinkSync(this.#recordPath(id));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, `remove ${this.#kind.form.what}`, id);
    }
  }

  /** Gives back every name that it has. */
  releaseNames(id: string): void {
    for (const [name, owner] of this.names.list()) if (owner === id) this.names.release(name, id);
  }

  /** The ids of all folders, those of what is half made or half removed included. */
  ids(): readonly string[] {
    return idsIn(this.#kind.places.records);
  }

  /** The ids of what has a folder on the run-time side. */
  stateIds(): readonly string[] {
    return idsIn(this.#kind.places.states);
  }

  /** Every record; what is unreadable goes to `onBroken` and is left out. */
  list(onBroken: (id: string, error: unknown) => void): readonly R[] {
    return readEach(this.ids(), (id) => this.read(id), onBroken);
  }

  /** Finds a record by its full id, its name, or the beginning of its id, in this order. */
  find(text: string): R {
    const wanted = text.replace(/^\//, "");
    const id = this.#resolve(wanted);
    const record = id === undefined ? undefined : this.read(id);
    // the record decides what its name is: a rename that was killed leaves a link too many
    if (record && (record.name === wanted || record.id.startsWith(wanted))) return record;
    throw this.#kind.noSuch(text);
  }

  /** Id and name, also of one whose record cannot be read: that one goes by its id. */
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

  #recordPath(id: string): string {
    return join(this.directory(id), this.#kind.file);
  }

  #resolve(text: string): string | undefined {
    if (idForm.test(text)) return text;
    const named = this.names.find(text);
    if (named !== undefined) return named;
    if (!/^[0-9a-f]{1,63}$/.test(text)) return undefined;
    const [found, ...others] = this.ids().filter((id) => id.startsWith(text));
    if (others.length === 0) return found;
    throw new GantryError("invalid-argument", this.#kind.ambiguous(text), {
      detail: { asked: text, ids: [found, ...others] },
    });
  }
}

/** Reads what can be read; the rest goes to `onBroken`, and what is not there is left out. */
export function readEach<R>(
  keys: readonly string[],
  read: (key: string) => R | undefined,
  onBroken: (key: string, error: unknown) => void,
): readonly R[] {
  return keys.flatMap((key) => {
    try {
      const record = read(key);
      return record === undefined ? [] : [record];
    } catch (error) {
      if (!isGantryError(error)) throw error;
      onBroken(key, error);
      return [];
    }
  });
}

function idsIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).filter((name) => idForm.test(name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw wrapErrno(error, "list", dir);
  }
}
