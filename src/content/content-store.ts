/**
 * Seam of content-addressed blobs.
 *
 * The promise: what is readable under a digest has that digest, also after a power cut. A blob
 * appears in one step when its ingest is committed, and never changes. Several processes may use one
 * store at once.
 */
import type { Digest } from "../spec/digest.ts";

export interface BlobInfo {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** What a caller expects; a descriptor is one. */
export interface ExpectedBlob {
  readonly digest: Digest;
  readonly size: number;
}

export interface ContentStore {
  /** Size of a blob, or undefined if it is not there. */
  info(digest: Digest, options?: { readonly signal?: AbortSignal }): Promise<BlobInfo | undefined>;

  /**
   * The bytes from `offset` on. A read of the whole blob ends with data-loss if the bytes do not have
   * the digest. Breaking out of the loop closes the source.
   */
  read(
    digest: Digest,
    options?: { readonly offset?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<Uint8Array>;

  /** A whole small blob, verified; resource-exhausted above `limitBytes` (default 8 MiB). */
  readAll(
    digest: Digest,
    options?: { readonly limitBytes?: number; readonly signal?: AbortSignal },
  ): Promise<Uint8Array>;

  /** Begins or resumes the ingest of a known blob; already-exists if it is complete in the store. */
  ingest(expected: ExpectedBlob, options?: { readonly signal?: AbortSignal }): Promise<Ingest>;

  /** Begins the ingest of bytes whose digest is known only at the end. It cannot be resumed by others. */
  ingestUnnamed(options?: { readonly signal?: AbortSignal }): Promise<Ingest>;

  /**
   * Removes a blob; false if it was not there. With `unless`, the blob is hidden first, then `unless`
   * is asked, and on true it is put back. So a user who first claims a blob and then looks for it
   * either is seen by `unless` or sees that the blob is gone.
   */
  remove(
    digest: Digest,
    options?: { readonly unless?: () => boolean | Promise<boolean>; readonly signal?: AbortSignal },
  ): Promise<boolean>;

  /** All complete blobs, in no order. */
  list(options?: { readonly signal?: AbortSignal }): AsyncIterable<BlobInfo>;

  /** Deletes what dead processes left (partial ingests older than `maxAgeMs`); gives the bytes freed. */
  sweep(options?: { readonly maxAgeMs?: number; readonly signal?: AbortSignal }): Promise<number>;
}

/**
 * A blob on its way in. Disposing before `commit` keeps what was written, so that the next ingest of
 * the same digest resumes there.
 */
export interface Ingest extends AsyncDisposable {
  /** Bytes that are already there; the next write goes here. */
  readonly offset: number;

  /** The bytes written so far, from the start: what a resuming reader needs before the network's part. */
  readBack(options?: { readonly signal?: AbortSignal }): AsyncIterable<Uint8Array>;

  /** Appends. The chunk must not be changed afterwards until the promise is fulfilled. */
  write(chunk: Uint8Array): Promise<void>;

  /**
   * Verifies and publishes. data-loss, and nothing is kept, if the bytes are not those expected.
   * `expected` is for an unnamed ingest; without it, it takes the sha256 of what was written.
   */
  commit(expected?: { readonly digest: Digest; readonly size?: number }): Promise<BlobInfo>;

  /** Forgets what was written. */
  discard(): Promise<void>;
}
