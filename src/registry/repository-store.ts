/**
 * What a registry knows beside blobs: which manifests a repository has and which tags name them.
 * On disk, one small file each, so that several processes may serve one folder:
 *
 *     <root>/<repository path>/_manifests/<algorithm>-<hex>    JSON {mediaType, size, subject?, …}
 *     <root>/<repository path>/_tags/<tag>                     a digest
 *
 * No path component of a repository begins with "_" (distribution-spec), so the names cannot meet.
 */
import { mkdirSync, readdirSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { decodeJson, integer, object, optional, record, string } from "../base/decode.ts";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { mediaType } from "../spec/descriptor.ts";
import { type Digest, digest, digestAlgorithm, digestHex, isDigest } from "../spec/digest.ts";

export interface StoredManifest {
  readonly mediaType: string;
  readonly size: number;
  readonly subject?: Digest;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const storedShape = object({
  mediaType,
  size: integer(0),
  subject: optional(digest),
  artifactType: optional(string),
  annotations: optional(record(string)),
});

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => !name.endsWith(".tmp"));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw wrapErrno(error, "list", folder);
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw wrapErrno(error, "read", path);
  }
}

function unlinkIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw wrapErrno(error, "remove", path);
  }
}

export class RepositoryStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  #folder(path: string, kind: "_manifests" | "_tags"): string {
    return join(this.#root, path, kind);
  }

  #manifest(path: string, of: Digest): string {
    return join(this.#folder(path, "_manifests"), `${digestAlgorithm(of)}-${digestHex(of)}`);
  }

  manifest(path: string, of: Digest): StoredManifest | undefined {
    const text = readIfThere(this.#manifest(path, of));
    return text === undefined ? undefined : decodeJson(text, storedShape, "manifest record");
  }

  putManifest(path: string, of: Digest, stored: StoredManifest): void {
    mkdirSync(this.#folder(path, "_manifests"), { recursive: true, mode: 0o700 });
    writeFileAtomic(this.#manifest(path, of), JSON.stringify(stored), { durable: true });
  }

  /** Also drops the tags that name it. */
  removeManifest(path: string, of: Digest): boolean {
    for (const tag of this.tags(path)) if (this.tag(path, tag) === of) this.removeTag(path, tag);
    return unlinkIfThere(this.#manifest(path, of));
  }

  manifests(path: string): readonly Digest[] {
    return namesIn(this.#folder(path, "_manifests"))
      .map((name) => name.replace("-", ":"))
      .filter(isDigest);
  }

  tag(path: string, tag: string): Digest | undefined {
    const text = readIfThere(join(this.#folder(path, "_tags"), tag));
    return text !== undefined && isDigest(text) ? text : undefined;
  }

  putTag(path: string, tag: string, of: Digest): void {
    mkdirSync(this.#folder(path, "_tags"), { recursive: true, mode: 0o700 });
    writeFileAtomic(join(this.#folder(path, "_tags"), tag), of, { durable: true });
  }

  removeTag(path: string, tag: string): boolean {
    return unlinkIfThere(join(this.#folder(path, "_tags"), tag));
  }

  /** Sorted, as the listing must be. */
  tags(path: string): readonly string[] {
    return [...namesIn(this.#folder(path, "_tags"))].sort();
  }

  exists(path: string): boolean {
    return this.tags(path).length > 0 || this.manifests(path).length > 0;
  }

  /** Every repository that has a manifest, sorted. */
  repositories(): readonly string[] {
    const found: string[] = [];
    const visit = (path: string): void => {
      for (const name of namesIn(join(this.#root, path))) {
        if (name === "_manifests") {
          if (this.exists(path)) found.push(path);
        } else if (!name.startsWith("_")) visit(path === "" ? name : `${path}/${name}`);
      }
    };
    visit("");
    return found.sort();
  }
}
