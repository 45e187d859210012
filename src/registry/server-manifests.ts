/** Routes of the embedded registry for manifests, tags, referrers and the catalogue. */
import type { ContentStore } from "../content/content-store.ts";
import { writeBlob } from "../content/read-all.ts";
import type { Descriptor } from "../spec/descriptor.ts";
import { type Digest, digestAlgorithm, digestOf, isDigest } from "../spec/digest.ts";
import { decodeIndex } from "../spec/image-index.ts";
import { decodeManifest, manifestLimitBytes } from "../spec/manifest.ts";
import { isIndexMediaType, isManifestMediaType, mediaTypes } from "../spec/media-types.ts";
import { isTag } from "../spec/reference.ts";
import type { RepositoryStore, StoredManifest } from "./repository-store.ts";
import { type Exchange, RegistryRefusal } from "./server-exchange.ts";

export interface RegistryStores {
  readonly content: ContentStore;
  readonly repositories: RepositoryStore;
}

function digestOfReference(stores: RegistryStores, path: string, reference: string): Digest {
  const digest = isDigest(reference)
    ? reference
    : isTag(reference)
      ? stores.repositories.tag(path, reference)
      : undefined;
  if (digest === undefined)
    throw new RegistryRefusal("MANIFEST_UNKNOWN", `${path} has no manifest ${reference.slice(0, 150)}`);
  return digest;
}

export async function getManifest(
  stores: RegistryStores,
  exchange: Exchange,
  path: string,
  reference: string,
): Promise<void> {
  const digest = digestOfReference(stores, path, reference);
  const stored = stores.repositories.manifest(path, digest);
  if (!stored || !(await stores.content.info(digest)))
    throw new RegistryRefusal("MANIFEST_UNKNOWN", `${path} has no manifest ${reference}`);
  const bytes = await stores.content.readAll(digest, {
    limitBytes: manifestLimitBytes,
    signal: exchange.signal,
  });
  exchange.bytes(200, bytes, {
    "content-type": stored.mediaType,
    "docker-content-digest": digest,
    etag: `"${digest}"`,
  });
}

/** Decodes what was pushed; gives what to remember of it and which blobs and manifests it needs. */
function examine(
  bytes: Uint8Array,
  mediaType: string,
): { stored: StoredManifest; blobs: readonly Descriptor[]; manifests: readonly Descriptor[] } {
  const common = { mediaType, size: bytes.length };
  if (isManifestMediaType(mediaType)) {
    const { config, layers, subject, artifactType, annotations } = decodeManifest(bytes, mediaType);
    return {
      stored: {
        ...common,
        ...(subject ? { subject: subject.digest } : {}),
        artifactType: artifactType ?? config.mediaType,
        ...(annotations ? { annotations } : {}),
      },
      // foreign layers live elsewhere
      blobs: [config, ...layers].filter((blob) => !blob.urls?.length),
      manifests: [],
    };
  }
  if (isIndexMediaType(mediaType)) {
    const { manifests, subject, artifactType, annotations } = decodeIndex(bytes, mediaType);
    return {
      stored: {
        ...common,
        ...(subject ? { subject: subject.digest } : {}),
        ...(artifactType ? { artifactType } : {}),
        ...(annotations ? { annotations } : {}),
      },
      blobs: [],
      manifests,
    };
  }
  throw new RegistryRefusal("MANIFEST_INVALID", `${mediaType || "no media type"} is not one of a manifest`);
}

export async function putManifest(
  stores: RegistryStores,
  exchange: Exchange,
  path: string,
  reference: string,
): Promise<void> {
  const mediaType = exchange.request.headers["content-type"]?.split(";")[0]?.trim() ?? "";
  const byDigest = isDigest(reference) ? reference : undefined;
  if (!byDigest && !isTag(reference))
    throw new RegistryRefusal("MANIFEST_INVALID", "neither a tag nor a digest");
  const bytes = await exchange.readBody(manifestLimitBytes);
  const digest = digestOf(bytes, byDigest ? digestAlgorithm(byDigest) : "sha256");
  if (byDigest && byDigest !== digest)
    throw new RegistryRefusal("DIGEST_INVALID", `the content has digest ${digest}`);
  const { stored, blobs, manifests } = examine(bytes, mediaType);
  for (const blob of blobs)
    if ((await stores.content.info(blob.digest))?.sizeBytes !== blob.size)
      throw new RegistryRefusal(
        "MANIFEST_BLOB_UNKNOWN",
        `blob ${blob.digest} of ${blob.size} bytes is not here`,
      );
  for (const manifest of manifests)
    if (!stores.repositories.manifest(path, manifest.digest))
      throw new RegistryRefusal("MANIFEST_BLOB_UNKNOWN", `manifest ${manifest.digest} is not here`);
  if (digestAlgorithm(digest) === "sha256")
    await writeBlob(stores.content, bytes, { signal: exchange.signal });
  else {
    await using ingest = await stores.content.ingestUnnamed();
    await ingest.write(bytes);
    await ingest.commit({ digest });
  }
  stores.repositories.putManifest(path, digest, stored);
  if (!byDigest) stores.repositories.putTag(path, reference, digest);
  exchange.empty(201, {
    location: `/v2/${path}/manifests/${digest}`,
    "docker-content-digest": digest,
    ...(stored.subject ? { "oci-subject": stored.subject } : {}),
  });
}

export function deleteManifest(
  stores: RegistryStores,
  exchange: Exchange,
  path: string,
  reference: string,
): void {
  const gone = isDigest(reference)
    ? stores.repositories.removeManifest(path, reference)
    : isTag(reference) && stores.repositories.removeTag(path, reference);
  if (!gone)
    throw new RegistryRefusal("MANIFEST_UNKNOWN", `${path} has no manifest ${reference.slice(0, 150)}`);
  exchange.empty(202);
}

function page(
  exchange: Exchange,
  all: readonly string[],
): { items: readonly string[]; link: Readonly<Record<string, string>> } {
  const last = exchange.url.searchParams.get("last");
  const asked = exchange.url.searchParams.get("n");
  const count = asked !== null && /^\d{1,6}$/.test(asked) ? Number(asked) : 10_000;
  const rest = last === null ? all : all.filter((item) => item > last);
  const items = rest.slice(0, count);
  const end = items.at(-1);
  if (items.length === rest.length || end === undefined) return { items, link: {} };
  const next = `${exchange.url.pathname}?n=${count}&last=${encodeURIComponent(end)}`;
  return { items, link: { link: `<${next}>; rel="next"` } };
}

export function listTags(stores: RegistryStores, exchange: Exchange, path: string): void {
  if (!stores.repositories.exists(path)) throw new RegistryRefusal("NAME_UNKNOWN", `no repository ${path}`);
  const { items, link } = page(exchange, stores.repositories.tags(path));
  exchange.json(200, { name: path, tags: items }, link);
}

export function listRepositories(stores: RegistryStores, exchange: Exchange): void {
  const { items, link } = page(exchange, stores.repositories.repositories());
  exchange.json(200, { repositories: items }, link);
}

/** distribution-spec, "Listing Referrers": an index, empty for what nobody refers to. */
export function listReferrers(
  stores: RegistryStores,
  exchange: Exchange,
  path: string,
  subject: string,
): void {
  if (!isDigest(subject)) throw new RegistryRefusal("DIGEST_INVALID", "not a digest");
  const wantedType = exchange.url.searchParams.get("artifactType");
  const manifests: Descriptor[] = [];
  for (const digest of stores.repositories.manifests(path)) {
    const stored = stores.repositories.manifest(path, digest);
    if (stored?.subject !== subject || (wantedType !== null && stored.artifactType !== wantedType)) continue;
    const { mediaType, size, artifactType, annotations } = stored;
    manifests.push({
      mediaType,
      digest,
      size,
      ...(artifactType ? { artifactType } : {}),
      ...(annotations ? { annotations } : {}),
    });
  }
  exchange.json(
    200,
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
    {
      "content-type": mediaTypes.ociIndex,
      ...(wantedType === null ? {} : { "oci-filters-applied": "artifactType" }),
    },
  );
}
