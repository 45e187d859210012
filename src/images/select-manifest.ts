/** From what a reference names to the one manifest and config to use, storing the documents on the way. */
import { GantryError, isGantryError } from "../base/error.ts";
import type { ContentStore } from "../content/content-store.ts";
import type { Registry } from "../registry/registry.ts";
import type { Descriptor } from "../spec/descriptor.ts";
import type { Digest } from "../spec/digest.ts";
import { type ImageConfig, imageConfigLimitBytes, platformOf } from "../spec/image-config.ts";
import { candidatesFor, decodeIndex, platformsOf } from "../spec/image-index.ts";
import { decodeManifest, type ImageManifest, manifestLimitBytes } from "../spec/manifest.ts";
import { isIndexMediaType, isManifestMediaType, mediaTypes } from "../spec/media-types.ts";
import { formatPlatform, type Platform, platformDistance } from "../spec/platform.ts";
import { familiarReference, type Reference } from "../spec/reference.ts";
import { checkedConfig } from "./image.ts";

/** Indexes in indexes are allowed; nobody needs more than this. */
const nestingLimit = 3;

export interface DocumentSource {
  readonly registry: Registry;
  readonly content: ContentStore;
  readonly reference: Reference;
  /** Called before the store is asked for a blob, so that it stays. */
  readonly claim: (...digests: readonly Digest[]) => void;
  readonly signal?: AbortSignal;
}

export interface SelectedManifest {
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly imageConfig: ImageConfig;
}

async function storeDocument(
  source: DocumentSource,
  descriptor: Descriptor,
  bytes: Uint8Array,
): Promise<void> {
  await using ingest = await source.content.ingestUnnamed(source.signal ? { signal: source.signal } : {});
  await ingest.write(bytes);
  await ingest.commit({ digest: descriptor.digest, size: descriptor.size });
}

async function storedDocument(
  source: DocumentSource,
  descriptor: Descriptor,
  limitBytes: number,
): Promise<Uint8Array | undefined> {
  try {
    const bytes = await source.content.readAll(descriptor.digest, {
      limitBytes,
      ...(source.signal ? { signal: source.signal } : {}),
    });
    return bytes.length === descriptor.size ? bytes : undefined;
  } catch (error) {
    // a blob that a power cut has torn is fetched again and replaced
    if (isGantryError(error, "not-found") || isGantryError(error, "data-loss")) return undefined;
    throw error;
  }
}

/** A small blob of the image, from the store or else from the registry; verified either way. */
async function fetchDocument(
  source: DocumentSource,
  descriptor: Descriptor,
  limitBytes: number,
  known?: Uint8Array,
): Promise<Uint8Array> {
  if (descriptor.size > limitBytes)
    throw new GantryError(
      "resource-exhausted",
      `fetch "${descriptor.digest}": ${descriptor.size} bytes are more than the limit of ${limitBytes}`,
    );
  source.claim(descriptor.digest);
  const stored = await storedDocument(source, descriptor, limitBytes);
  if (stored) return stored;
  const options = source.signal ? { signal: source.signal } : {};
  let bytes = known;
  if (!bytes && (isManifestMediaType(descriptor.mediaType) || isIndexMediaType(descriptor.mediaType)))
    bytes = await source.registry.fetchManifest(source.reference, descriptor, options);
  if (!bytes) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of source.registry.fetchBlob(source.reference, descriptor, options))
      chunks.push(chunk);
    bytes = Buffer.concat(chunks);
  }
  await storeDocument(source, descriptor, bytes);
  return bytes;
}

async function readManifest(
  source: DocumentSource,
  descriptor: Descriptor,
  known?: Uint8Array,
): Promise<SelectedManifest> {
  const bytes = await fetchDocument(source, descriptor, manifestLimitBytes, known);
  const manifest = decodeManifest(bytes, descriptor.mediaType);
  if (
    manifest.config.mediaType !== mediaTypes.ociConfig &&
    manifest.config.mediaType !== mediaTypes.dockerConfig
  )
    throw new GantryError(
      "failed-precondition",
      `pull "${familiarReference(source.reference)}": it is no container image, its config is ${manifest.config.mediaType}`,
      { detail: { mediaType: manifest.config.mediaType } },
    );
  const configBytes = await fetchDocument(source, manifest.config, imageConfigLimitBytes);
  return { descriptor, manifest, imageConfig: checkedConfig(manifest, configBytes) };
}

/** The manifest for `wanted` behind `target`. An index without one is not-found. */
export async function selectManifest(
  source: DocumentSource,
  target: Descriptor,
  wanted: Platform,
  known?: Uint8Array,
): Promise<SelectedManifest> {
  const selected = await search(source, target, wanted, known, 0);
  if (selected) return selected;
  throw new GantryError(
    "not-found",
    `pull "${familiarReference(source.reference)}": no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`,
    { detail: { platform: formatPlatform(wanted), offered: await offered(source, target) } },
  );
}

async function search(
  source: DocumentSource,
  target: Descriptor,
  wanted: Platform,
  known: Uint8Array | undefined,
  depth: number,
): Promise<SelectedManifest | undefined> {
  if (isManifestMediaType(target.mediaType)) return await readManifest(source, target, known);
  if (target.mediaType === mediaTypes.dockerSchema1 || target.mediaType === mediaTypes.dockerSchema1Signed)
    throw new GantryError(
      "unimplemented",
      `pull "${familiarReference(source.reference)}": Docker image format version 1 is no longer supported`,
    );
  if (!isIndexMediaType(target.mediaType))
    throw new GantryError(
      "failed-precondition",
      `pull "${familiarReference(source.reference)}": ${target.mediaType} is no image`,
      {
        detail: { mediaType: target.mediaType },
      },
    );
  if (depth >= nestingLimit)
    throw new GantryError(
      "failed-precondition",
      `pull "${familiarReference(source.reference)}": indexes are nested more than ${nestingLimit} deep`,
    );
  const index = decodeIndex(await fetchDocument(source, target, manifestLimitBytes, known), target.mediaType);
  for (const entry of candidatesFor(index, wanted)) {
    const found = await search(source, entry, wanted, undefined, depth + 1);
    // an entry that does not state its platform is judged by its config
    const states = entry.platform !== undefined || isIndexMediaType(entry.mediaType);
    if (found && (states || platformDistance(wanted, platformOf(found.imageConfig)) !== undefined))
      return found;
  }
  return undefined;
}

async function offered(source: DocumentSource, target: Descriptor): Promise<readonly string[]> {
  return platformsOf(decodeIndex(await fetchDocument(source, target, manifestLimitBytes), target.mediaType));
}
