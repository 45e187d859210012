/**
 * One layer of a pull, read once: from the network into the content store and, at the same time, through the
 * decompressor and the diffID check into the applier.
 *
 *     registry ─┬─> ingest (digest, size, flush, publish)
 *               └─> decompress (thread pool) ─> diffID ─> applier
 *
 * The pump between them goes at the pace of the slower side.
 */
import { GantryError, isGantryError } from "../base/error.ts";
import type { Ingest } from "../content/content-store.ts";
import type { Reference } from "../spec/reference.ts";
import { applyBlob, applyStoredBlob, checkLayerType, type LayerBlob } from "./apply-blob.ts";
import { coalesce } from "./decompress.ts";
import type { LayerReporter } from "./progress.ts";
import type { PullDeps } from "./pull-options.ts";

export interface LayerJob extends LayerBlob {
  readonly reference: Reference;
  readonly reporter: LayerReporter;
  readonly signal: AbortSignal;
}

/** Brings one layer into the store and into the applier; what is there already is not done again. */
export async function pullLayer(
  deps: PullDeps,
  job: LayerJob,
): Promise<"present" | "unpacked" | "downloaded"> {
  const { layer, reporter } = job;
  if (await deps.layers.has(job.chainId)) {
    reporter.phase("Already exists");
    return "present";
  }
  checkLayerType(layer);
  reporter.phase("Pulling fs layer");
  // the second round is for bytes of an earlier process or of the store that turned out to be damaged
  for (let round = 1; ; round++) {
    const damaged = (error: unknown) => round === 1 && isGantryError(error, "data-loss");
    try {
      if ((await deps.content.info(layer.digest))?.sizeBytes === layer.size) {
        await applyStoredBlob(deps, job, (current) => reporter.count("Extracting", current));
        reporter.phase("Pull complete");
        return "unpacked";
      }
    } catch (error) {
      if (!damaged(error)) throw error;
      reporter.phase("Retrying", (error as Error).message);
      await deps.content.remove(layer.digest);
      continue;
    }
    const resumed = { value: false };
    try {
      await applyFromNetwork(deps, job, resumed);
      reporter.phase("Pull complete");
      return "downloaded";
    } catch (error) {
      // another process has completed the blob since we looked
      if (round === 1 && isGantryError(error, "already-exists")) continue;
      if (!resumed.value || !damaged(error)) throw error;
      reporter.phase("Retrying", (error as Error).message);
    }
  }
}

async function applyFromNetwork(deps: PullDeps, job: LayerJob, resumed: { value: boolean }): Promise<void> {
  const { layer, reporter, signal } = job;
  await using ingest = await deps.content.ingest(layer, { signal });
  resumed.value = ingest.offset > 0;
  const leaving = new AbortController();
  const stop = () =>
    leaving.abort(new GantryError("aborted", `fetch blob "${layer.digest}": it cannot be unpacked`));
  const chunks = download(deps, { ...job, signal: AbortSignal.any([signal, leaving.signal]) }, ingest);
  try {
    // the decompressor may stop before the blob does (padding after the last member): it must not close the source
    const open: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => ({ next: () => chunks.next() }) };
    await applyBlob(deps.layers, job, open, stop);
    for await (const _ of chunks) {
      // the rest is only stored
    }
    reporter.phase("Verifying Checksum");
    await ingest.commit();
  } catch (error) {
    stop();
    await chunks.return();
    if (isSpoiled(error)) await ingest.discard();
    throw error;
  }
}

/**
 * Whether what has come is not worth resuming: the bytes themselves are to blame, or the disk is full, which another
 * layer may have met (see pullLayers). A busy registry is no reason.
 */
function isSpoiled(error: unknown): boolean {
  if (!isGantryError(error) || error.detail.status !== undefined) return false;
  if (error.code === "aborted")
    return isGantryError(error.cause, "resource-exhausted") && isSpoiled(error.cause);
  return ["data-loss", "resource-exhausted", "invalid-argument"].includes(error.code);
}

/** The blob's bytes: what an earlier attempt has stored, then the network's, stored in passing. */
async function* download(
  deps: PullDeps,
  job: LayerJob,
  ingest: Ingest,
): AsyncGenerator<Uint8Array, void, void> {
  const { layer, reporter, signal } = job;
  const { offset } = ingest;
  if (offset > 0) yield* ingest.readBack({ signal });
  let current = offset;
  let written: Promise<void> = Promise.resolve();
  try {
    for await (const chunk of coalesce(deps.registry.fetchBlob(job.reference, layer, { offset, signal }))) {
      await written;
      current += chunk.length;
      reporter.count("Downloading", current);
      written = ingest.write(chunk);
      // awaited at the next chunk or at the end; must not count as unhandled until then
      written.catch(() => {});
      yield chunk;
    }
    await written;
  } finally {
    await written.catch(() => {});
  }
  reporter.phase("Download complete");
  reporter.phase("Extracting");
}
