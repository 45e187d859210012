/**
 * The content store on disk. Owns the folder it is given, laid out as disk-layout.ts says. No process
 * holds a lock: partial files carry the name of their writer, and everything changes by rename.
 */
import { readFileSync, statSync } from "node:fs";
import { mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { ownerState } from "../base/owner.ts";
import {
  type Digest,
  digestAlgorithm,
  isDigest,
  smallDigestOf,
  verifyStream,
  wrongDigest,
} from "../spec/digest.ts";
import type { BlobInfo, ContentStore, ExpectedBlob, Ingest } from "./content-store.ts";
import { readFileFrom } from "./disk-file.ts";
import { DiskIngest } from "./disk-ingest.ts";
import { DiskLayout, idleOwner, type PartialName, parsePartialName } from "./disk-layout.ts";
import { defaultLimitBytes, readAllOf } from "./read-all.ts";

const smallBlobBytes = 256 * 1024;

/** Partial blobs that nobody resumed for this long go with the next sweep. */
const partialAgeMs = 24 * 3600 * 1000;

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw wrapErrno(error, "list", folder);
  }
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw wrapErrno(error, "read blob", path);
  }
}

async function checkDigest(bytes: Uint8Array, digest: Digest): Promise<void> {
  const found = await smallDigestOf(bytes, digestAlgorithm(digest));
  if (found !== digest) throw wrongDigest("blob", digest, found);
}

export class DiskContentStore implements ContentStore {
  readonly #layout: DiskLayout;

  constructor(root: string) {
    this.#layout = new DiskLayout(root);
  }

  async info(digest: Digest, options: { readonly signal?: AbortSignal } = {}): Promise<BlobInfo | undefined> {
    options.signal?.throwIfAborted();
    const path = this.#layout.blob(digest);
    try {
      return { digest, sizeBytes: statSync(path).size };
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw wrapErrno(error, "look up blob", path);
    }
  }

  async *read(
    digest: Digest,
    options: { readonly offset?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const offset = options.offset ?? 0;
    const bytes = readFileFrom(this.#layout.blob(digest), offset, options.signal);
    try {
      yield* offset === 0 ? verifyStream(bytes, { digest }, "blob") : bytes;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (errnoOf(error) === "ENOENT")
        throw new GantryError("not-found", `read blob "${digest}": no such blob`, { detail: { digest } });
      throw wrapErrno(error, `read blob "${digest}"`);
    }
  }

  async readAll(
    digest: Digest,
    options: { readonly limitBytes?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Uint8Array> {
    const limitBytes = options.limitBytes ?? defaultLimitBytes;
    const present = await this.info(digest, options);
    // small documents stand on the way to every container start: one read, without streams
    if (present && present.sizeBytes <= smallBlobBytes && present.sizeBytes <= limitBytes) {
      const bytes = readIfThere(this.#layout.blob(digest));
      if (bytes) {
        await checkDigest(bytes, digest);
        return bytes;
      }
    }
    return await readAllOf(this, digest, { ...options, limitBytes });
  }

  async ingest(expected: ExpectedBlob, options: { readonly signal?: AbortSignal } = {}): Promise<Ingest> {
    const present = await this.info(expected.digest, options);
    if (present?.sizeBytes === expected.size)
      throw new GantryError("already-exists", `write blob "${expected.digest}": it is already there`, {
        detail: { digest: expected.digest },
      });
    await this.#prepare();
    const path = this.#layout.newName(this.#layout.ingest, expected.digest);
    const resumed = await this.#takeOver(expected, path);
    return await this.#open(path, resumed, expected);
  }

  async ingestUnnamed(options: { readonly signal?: AbortSignal } = {}): Promise<Ingest> {
    options.signal?.throwIfAborted();
    await this.#prepare();
    return await this.#open(this.#layout.newName(this.#layout.ingest, undefined), 0, undefined);
  }

  async #prepare(): Promise<void> {
    for (const folder of [this.#layout.ingest, this.#layout.blobs]) {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
      } catch (error) {
        throw wrapErrno(error, "create content store", folder);
      }
    }
  }

  async #open(path: string, offset: number, expected: ExpectedBlob | undefined): Promise<Ingest> {
    try {
      const file = await open(path, offset > 0 ? "r+" : "wx+", 0o600);
      return new DiskIngest(this.#layout, file, path, offset, expected);
    } catch (error) {
      throw wrapErrno(error, "create partial blob", path);
    }
  }

  async #partials(folder: string): Promise<readonly PartialName[]> {
    return (await namesIn(folder)).flatMap((file) => parsePartialName(file) ?? []);
  }

  /** Renames the longest partial file that nobody writes to `path`; gives its size, 0 if there is none. */
  async #takeOver(expected: ExpectedBlob, path: string): Promise<number> {
    const folder = this.#layout.ingest;
    const found: { file: string; sizeBytes: number }[] = [];
    for (const { file, digest, owner } of await this.#partials(folder)) {
      if (digest !== expected.digest || (owner !== idleOwner && ownerState(owner) !== "dead")) continue;
      const sizeBytes = await stat(join(folder, file)).then(
        (stats) => stats.size,
        () => 0,
      );
      found.push({ file, sizeBytes });
    }
    found.sort((a, b) => b.sizeBytes - a.sizeBytes);
    let taken = 0;
    for (const { file, sizeBytes } of found) {
      const usable = taken === 0 && sizeBytes > 0 && sizeBytes <= expected.size;
      try {
        await (usable ? rename(join(folder, file), path) : unlink(join(folder, file)));
        if (usable) taken = sizeBytes;
      } catch (error) {
        // another process was faster
        if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "take over partial blob", join(folder, file));
      }
    }
    return taken;
  }

  async remove(
    digest: Digest,
    options: { readonly unless?: () => boolean | Promise<boolean>; readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    options.signal?.throwIfAborted();
    const path = this.#layout.blob(digest);
    try {
      if (!options.unless) {
        await unlink(path);
        return true;
      }
      const hidden = this.#layout.newName(this.#layout.trash, digest);
      await rename(path, hidden).catch(async (error: unknown) => {
        if (errnoOf(error) !== "ENOENT") throw error;
        await mkdir(this.#layout.trash, { recursive: true, mode: 0o700 });
        await rename(path, hidden);
      });
      let keep = true;
      try {
        keep = await options.unless();
      } finally {
        await (keep ? rename(hidden, path) : unlink(hidden));
      }
      return !keep;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw wrapErrno(error, "remove blob", path);
    }
  }

  async *list(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<BlobInfo, void, void> {
    for (const algorithm of ["sha256", "sha512"]) {
      for (const name of await namesIn(join(this.#layout.blobs, algorithm))) {
        options.signal?.throwIfAborted();
        const digest = `${algorithm}:${name}`;
        const info = isDigest(digest) ? await this.info(digest) : undefined;
        if (info) yield info;
      }
    }
  }

  async sweep(options: { readonly maxAgeMs?: number; readonly signal?: AbortSignal } = {}): Promise<number> {
    // what a removal left half-way goes back: whoever collects garbage decides again
    for (const { file, digest, owner } of await this.#partials(this.#layout.trash)) {
      if (digest === undefined || ownerState(owner) !== "dead") continue;
      await rename(join(this.#layout.trash, file), this.#layout.blob(digest)).catch((error: unknown) => {
        if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "put back blob", file);
      });
    }
    let freed = 0;
    const limit = Date.now() - (options.maxAgeMs ?? partialAgeMs);
    for (const { file, digest, owner } of await this.#partials(this.#layout.ingest)) {
      options.signal?.throwIfAborted();
      const state = owner === idleOwner ? "dead" : ownerState(owner);
      if (state === "alive") continue;
      const path = join(this.#layout.ingest, file);
      try {
        const { mtimeMs, size } = await stat(path);
        // the clock has whole milliseconds, and a file that was written in this one is not from the future
        if (Math.floor(mtimeMs) > limit && (digest !== undefined || state === "unknown")) continue;
        await unlink(path);
        freed += size;
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "remove partial blob", path);
      }
    }
    return freed;
  }
}
