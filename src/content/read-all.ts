/** Reading small blobs whole, the same for every store. */
import { GantryError } from "../base/error.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import type { ContentStore, ExpectedBlob } from "./content-store.ts";

export const defaultLimitBytes = 8 * 1024 * 1024;

export async function readAllOf(
  store: ContentStore,
  digest: Digest,
  options: { readonly limitBytes?: number; readonly signal?: AbortSignal },
): Promise<Uint8Array> {
  const limitBytes = options.limitBytes ?? defaultLimitBytes;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of store.read(digest, options.signal ? { signal: options.signal } : {})) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes)
      throw new GantryError(
        "resource-exhausted",
        `read blob "${digest}": more than the limit of ${limitBytes} bytes`,
        {
          detail: { digest, limitBytes },
        },
      );
    chunks.push(chunk);
  }
  const [only] = chunks;
  return chunks.length === 1 && only ? only : Buffer.concat(chunks);
}

/**
 * Puts bytes that are in memory into the store; fine if they are there already. `claim` is told the
 * digest before the store is asked for it.
 */
export async function writeBlob(
  store: ContentStore,
  bytes: Uint8Array,
  options: { readonly signal?: AbortSignal; readonly claim?: (digest: Digest) => void } = {},
): Promise<ExpectedBlob> {
  const expected = { digest: digestOf(bytes), size: bytes.length };
  options.claim?.(expected.digest);
  if ((await store.info(expected.digest, options))?.sizeBytes === expected.size) return expected;
  await using ingest = await store.ingest(expected, options);
  if (ingest.offset > 0) {
    // a small blob is not worth resuming
    await ingest.discard();
    return await writeBlob(store, bytes, options);
  }
  await ingest.write(bytes);
  await ingest.commit();
  return expected;
}
