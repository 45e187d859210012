/**
 * Names of files in a disk store. Owns nothing else, so that the rules stand in one place:
 *
 *     blobs/<algorithm>/<hex>              complete blobs, read-only, flushed before they got this name
 *     ingest/<key>.<owner>.<random>        a partial blob that a process writes now
 *     ingest/<key>.idle.<random>           a partial blob that nobody writes; the next ingest takes it by rename
 *     trash/<key>.<owner>.<random>         a blob that is being removed and may still be put back
 *
 * where key is `<algorithm>-<hex>`, or `unnamed`.
 */

import { join } from "node:path";
import { ownToken } from "../base/owner.ts";
import { randomHex } from "../base/random.ts";
import { type Digest, digestAlgorithm, digestHex, isDigest } from "../spec/digest.ts";

export const idleOwner = "idle";
export const unnamedKey = "unnamed";

export interface PartialName {
  readonly file: string;
  readonly digest: Digest | undefined;
  readonly owner: string;
}

export class DiskLayout {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get blobs(): string {
    return join(this.root, "blobs");
  }

  get ingest(): string {
    return join(this.root, "ingest");
  }

  get trash(): string {
    return join(this.root, "trash");
  }

  blobFolder(digest: Digest): string {
    return join(this.blobs, digestAlgorithm(digest));
  }

  blob(digest: Digest): string {
    return join(this.blobFolder(digest), digestHex(digest));
  }

  /** A new name in `folder` for `digest` (or unnamed), owned by this process unless told. */
  newName(folder: string, digest: Digest | undefined, owner = ownToken()): string {
    return join(folder, `${keyOf(digest)}.${owner}.${randomHex(6)}`);
  }
}

export function keyOf(digest: Digest | undefined): string {
  return digest === undefined ? unnamedKey : `${digestAlgorithm(digest)}-${digestHex(digest)}`;
}

/** Reads a file name of ingest/ or trash/; undefined for what is not ours. */
export function parsePartialName(file: string): PartialName | undefined {
  const [key, owner, random, ...rest] = file.split(".");
  if (key === undefined || owner === undefined || random === undefined || rest.length > 0) return undefined;
  if (key === unnamedKey) return { file, digest: undefined, owner };
  const digest = key.replace("-", ":");
  return isDigest(digest) ? { file, digest, owner } : undefined;
}
