/** Seam of the distribution protocol's read side: what pulling needs from wherever images come from. */
import type { Descriptor } from "../spec/descriptor.ts";
import type { Reference } from "../spec/reference.ts";

export interface RegistryCall {
  readonly signal?: AbortSignal;
}

export interface ResolvedManifest {
  readonly descriptor: Descriptor;
  /** The document itself, verified, when the registry would not tell the digest without it. */
  readonly bytes?: Uint8Array;
}

/**
 * The promise: bytes of manifests have the digest that was asked for; bytes of blobs come in order,
 * without gaps (lost connections are resumed), and never more than the descriptor's size. The digest
 * of a blob is left to the reader, who hashes it anyway.
 */
export interface Registry {
  /** What a tag or digest names now. not-found, unauthenticated and permission-denied are told apart. */
  resolve(reference: Reference, options?: RegistryCall): Promise<ResolvedManifest>;
  fetchManifest(reference: Reference, descriptor: Descriptor, options?: RegistryCall): Promise<Uint8Array>;
  fetchBlob(
    reference: Reference,
    descriptor: Descriptor,
    options?: RegistryCall & { readonly offset?: number },
  ): AsyncIterable<Uint8Array>;
}
