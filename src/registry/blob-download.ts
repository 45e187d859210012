/**
 * Downloading one blob: as many requests as it takes, each going on where the last one broke off.
 * Counts bytes; the digest is the reader's matter, who hashes them anyway.
 */
import { GantryError, isGantryError } from "../base/error.ts";
import type { Descriptor } from "../spec/descriptor.ts";
import type { Reference } from "../spec/reference.ts";
import { repositoryScope } from "./authorizer.ts";
import type { HttpResponse } from "./http-transport.ts";
import type { RegistryCall } from "./registry.ts";
import type { RegistryHost } from "./registry-host.ts";
import { type RetryPolicy, waitToRetry } from "./retry.ts";

/** A registry that sends less than this per try makes no progress. */
const progressBytes = 64 * 1024;

export async function* fetchBlob(
  host: RegistryHost,
  retry: RetryPolicy,
  reference: Reference,
  descriptor: Descriptor,
  options: RegistryCall & { readonly offset?: number },
): AsyncGenerator<Uint8Array, void, void> {
  const { signal } = options;
  const what = `fetch blob "${descriptor.digest}"`;
  const common = signal ? { signal } : {};
  let offset = options.offset ?? 0;
  let attempt = 0;
  while (offset < descriptor.size) {
    const startedAt = offset;
    try {
      const response = await host.sendOnce({
        method: "GET",
        target: `${reference.path}/blobs/${descriptor.digest}`,
        what,
        scope: repositoryScope(reference.path, "pull"),
        accept: offset > 0 ? [200, 206] : [200],
        // the bytes as they are stored: they are what the digest names
        headers: { "accept-encoding": "identity", ...(offset > 0 ? { range: `bytes=${offset}-` } : {}) },
        ...common,
      });
      let skip = bytesBefore(response, offset, what);
      for await (const chunk of response.body) {
        const fresh = skip > 0 ? chunk.subarray(skip) : chunk;
        skip = Math.max(0, skip - chunk.length);
        if (fresh.length === 0) continue;
        offset += fresh.length;
        if (offset > descriptor.size)
          throw new GantryError("data-loss", `${what}: longer than the expected ${descriptor.size} bytes`, {
            detail: { digest: descriptor.digest, expectedBytes: descriptor.size },
          });
        yield fresh;
      }
      if (offset < descriptor.size)
        throw new GantryError(
          "unavailable",
          `${what}: it ended after ${offset} of ${descriptor.size} bytes`,
          {
            detail: { digest: descriptor.digest, offset, transient: true },
          },
        );
    } catch (error) {
      signal?.throwIfAborted();
      if (isGantryError(error) && error.detail.status === 416)
        throw new GantryError(
          "data-loss",
          `${what}: the registry has only ${offset} of ${descriptor.size} bytes`,
          {
            detail: { digest: descriptor.digest, offset },
            cause: error,
          },
        );
      attempt = offset - startedAt >= progressBytes ? 0 : attempt;
      if (!(await waitToRetry(retry, attempt, error, signal))) throw error;
      attempt++;
    }
  }
}

/** How many bytes of the answer come before `offset`: none of a partial answer, all of a whole one. */
function bytesBefore(response: HttpResponse, offset: number, what: string): number {
  if (response.status !== 206) return offset;
  const start = /^bytes (\d+)-/.exec(response.headers["content-range"] ?? "")?.[1];
  if (start !== undefined && Number(start) <= offset) return offset - Number(start);
  throw new GantryError(
    "failed-precondition",
    `${what}: asked for bytes from ${offset}, the registry sent another range`,
  );
}
