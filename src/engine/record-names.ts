/**
 * Names of records: a name is a symbolic link of the names folder to the id. It appears whole and only if the name is
 * free, because symlink(2) makes it, so two processes can never both have it.
 */
import { readdirSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { randomBelow } from "../base/random.ts";
import { adjectives, surnames } from "./name-words.ts";
import { makePrivateDirectory } from "./store-layout.ts";

const linkForm = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** Longest file name that every file system takes. */
export const nameLimit = 255;

/** `brave_hopper`. */
export function randomName(): string {
  return `${adjectives[randomBelow(adjectives.length)]}_${surnames[randomBelow(surnames.length)]}`;
}

export class RecordNames {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The id behind a name. */
  find(name: string): string | undefined {
    if (!linkForm.test(name) || name.length > nameLimit) return undefined;
    try {
      const id = readlinkSync(join(this.#dir, name));
      return /^[0-9a-f]{64}$/.test(id) ? id : undefined;
    } catch (error) {
      if (["ENOENT", "EINVAL"].includes(errnoOf(error) ?? "")) return undefined;
      throw wrapErrno(error, "read name", name);
    }
  }

  /** Takes `name` for `id`; false if somebody has it. */
  claim(name: string, id: string): boolean {
    for (;;) {
      try {
        symlinkSync(id, join(this.#dir, name));
        return true;
      } catch (error) {
        if (errnoOf(error) === "EEXIST") return false;
        if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "claim name", name);
        makePrivateDirectory(this.#dir);
      }
    }
  }

  /** Takes a random free name for `id`. */
  claimRandom(id: string): string {
    for (let attempt = 0; ; attempt++) {
      const name = attempt < 8 ? randomName() : `${randomName()}${randomBelow(10_000)}`;
      if (this.claim(name, id)) return name;
    }
  }

  /** Gives `name` back, if it is `id` that has it. */
  release(name: string, id: string): void {
    if (this.find(name) === id) removeIfThere(join(this.#dir, name));
  }

  /** Every name with its id. */
  list(): ReadonlyMap<string, string> {
    let entries: string[];
    try {
      entries = readdirSync(this.#dir);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return new Map();
      throw wrapErrno(error, "list names", this.#dir);
    }
    return new Map(
      entries.flatMap((name) => {
        const id = this.find(name);
        return id === undefined ? [] : [[name, id] as const];
      }),
    );
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "remove", path);
  }
}
