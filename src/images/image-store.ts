/**
 * Which name stands for which image. One file per name, replaced atomically, so that several
 * processes may read and write at once; the last writer of a name wins, as with a tag in a registry.
 * Owns `<root>` (the images folder of the store) and nothing of the content that records point to.
 */
import { mkdirSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { object, string } from "../base/decode.ts";
import { errnoOf, isGantryError, wrapErrno } from "../base/error.ts";
import { readRecordFile, recordTime } from "../base/record-file.ts";
import { type Descriptor, descriptor } from "../spec/descriptor.ts";
import { digestHex, digestOf } from "../spec/digest.ts";

export interface ImageRecord {
  /**
   * A reference in its complete form (`docker.io/library/busybox:latest`, `…/busybox@sha256:…`), or
   * the digest of `manifest` for an image that has lost its last name.
   */
  readonly name: string;
  /** What the registry answered for the name: a manifest or an index. */
  readonly target: Descriptor;
  /** The manifest of the platform that was chosen; equal to `target` unless that is an index. */
  readonly manifest: Descriptor;
  /** The image config; its digest is the image ID. */
  readonly config: Descriptor;
  /** When the name was last set, RFC 3339. */
  readonly updated: string;
}

const recordShape = object({
  name: string,
  target: descriptor,
  manifest: descriptor,
  config: descriptor,
  updated: recordTime,
});

const recordForm = { decoder: recordShape, what: "image record", limitBytes: 4 * 1024 * 1024 };
const suffix = ".json";

export class ImageStore {
  readonly #root: string;

  readonly #onBroken: ((path: string, error: unknown) => void) | undefined;

  /** A record that cannot be read (a damaged disk) is told to `onBroken` and counts as absent. */
  constructor(root: string, options: { readonly onBroken?: (path: string, error: unknown) => void } = {}) {
    this.#root = root;
    this.#onBroken = options.onBroken;
  }

  #pathOf(name: string): string {
    const plain = encodeURIComponent(name);
    // a file name takes 255 bytes; a digest cannot be mistaken for a reference, which has a slash or a colon
    return join(this.#root, (plain.length <= 200 ? plain : digestHex(digestOf(name))) + suffix);
  }

  #read(path: string): ImageRecord | undefined {
    try {
      return readRecordFile(path, recordForm);
    } catch (error) {
      if (!isGantryError(error, "invalid-argument")) throw error;
      this.#onBroken?.(path, error);
      return undefined;
    }
  }

  get(name: string): ImageRecord | undefined {
    return this.#read(this.#pathOf(name));
  }

  /** All records, by name. */
  list(): readonly ImageRecord[] {
    let files: string[];
    try {
      files = readdirSync(this.#root);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw wrapErrno(error, "list images", this.#root);
    }
    const records: ImageRecord[] = [];
    for (const file of files) {
      if (!file.endsWith(suffix)) continue;
      const record = this.#read(join(this.#root, file));
      if (record) records.push(record);
    }
    return records.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** Sets what `record.name` stands for, also after a power cut. */
  put(record: ImageRecord): void {
    try {
      mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw wrapErrno(error, "create image store", this.#root);
    }
    writeFileAtomic(this.#pathOf(record.name), JSON.stringify(record), { durable: true });
  }

  /** Forgets a name; false if it was not there. */
  remove(name: string): boolean {
    const path = this.#pathOf(name);
    try {
      unlinkSync(path);
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw wrapErrno(error, "remove image record", path);
    }
  }
}
