/**
 * Leases: what running pulls, imports and other users of the store hold on to, so that garbage
 * collection leaves it alone. A lease ends with its process. Who wants to use a blob or a layer first
 * claims it in a lease and then looks whether it is there (see ContentStore.remove).
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { array, decodeJson, object } from "../base/decode.ts";
import { errnoOf, isGantryError, wrapErrno } from "../base/error.ts";
import { type OwnerToken, ownerState, ownToken } from "../base/owner.ts";
import { randomHex } from "../base/random.ts";
import { type Digest, digest } from "../spec/digest.ts";

/** A lease of a process that cannot be seen (another pid namespace) counts for this long after its last change. */
const unknownOwnerMs = 24 * 3600 * 1000;

const leaseShape = object({ claims: array(digest) });

export interface Lease extends Disposable {
  /** Holds on to blobs (by digest) and layers (by chainID) until the lease is disposed or its process ends. */
  claim(...digests: readonly Digest[]): void;
}

interface LeaseFile {
  readonly path: string;
  readonly owner: OwnerToken;
}

export class Leases {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  open(): Lease {
    const path = join(this.#root, `${ownToken()}.${randomHex(6)}`);
    const claims = new Set<Digest>();
    const write = () => {
      mkdirSync(this.#root, { recursive: true, mode: 0o700 });
      // no lease outlives its process, so none needs to outlive a power cut
      writeFileAtomic(path, JSON.stringify({ claims: [...claims] }));
    };
    return {
      claim(...digests) {
        const before = claims.size;
        for (const claimed of digests) claims.add(claimed);
        if (claims.size !== before) write();
      },
      [Symbol.dispose]() {
        rmSync(path, { force: true });
      },
    };
  }

  #files(): readonly LeaseFile[] {
    let names: string[];
    try {
      names = readdirSync(this.#root);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw wrapErrno(error, "list leases", this.#root);
    }
    return names
      .filter((name) => !name.endsWith(".tmp"))
      .map((name) => ({
        path: join(this.#root, name),
        owner: name.slice(0, Math.max(name.indexOf("."), 0)),
      }));
  }

  /** Everything claimed by processes that live; leases of dead ones are removed on the way. */
  claimed(): ReadonlySet<Digest> {
    const result = new Set<Digest>();
    for (const { path, owner } of this.#files()) {
      const state = ownerState(owner);
      try {
        if (
          state === "dead" ||
          (state === "unknown" && Date.now() - statSync(path).mtimeMs > unknownOwnerMs)
        ) {
          rmSync(path, { force: true });
          continue;
        }
        const lease = decodeJson(readFileSync(path), leaseShape, "lease");
        for (const claimed of lease.claims) result.add(claimed);
      } catch (error) {
        // disposed meanwhile
        if (errnoOf(error) === "ENOENT") continue;
        if (isGantryError(error, "invalid-argument")) continue;
        throw wrapErrno(error, "read lease", path);
      }
    }
    return result;
  }
}
