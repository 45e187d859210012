/** Image indexes (OCI image-spec image-index.md, Docker's manifest list) and the choice of a platform in them. */
import { array, decodeJson, integer, object, optional, record, string } from "../base/decode.ts";
import { GantryError } from "../base/error.ts";
import { type Descriptor, descriptor, mediaType } from "./descriptor.ts";
import { manifestLimitBytes } from "./manifest.ts";
import { isIndexMediaType, isManifestMediaType, mediaTypes } from "./media-types.ts";
import { formatPlatform, type Platform, platformDistance } from "./platform.ts";

export interface ImageIndex {
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

const shape = object({
  schemaVersion: integer(2, 2),
  mediaType: optional(mediaType),
  manifests: array(descriptor, 10_000),
  artifactType: optional(mediaType),
  subject: optional(descriptor),
  annotations: optional(record(string, 1000)),
  config: optional((value: unknown) => value),
  layers: optional((value: unknown) => value),
});

/** Decodes an index that was announced as `announced`; ambiguous documents are refused, as in decodeManifest. */
export function decodeIndex(bytes: Uint8Array | string, announced?: string): ImageIndex {
  const {
    schemaVersion: _,
    config,
    layers,
    ...index
  } = decodeJson(bytes, shape, "image index", manifestLimitBytes);
  if (config !== undefined || layers !== undefined)
    throw new GantryError(
      "invalid-argument",
      "parse image index: it has manifests and also config or layers",
    );
  const type = index.mediaType ?? announced ?? mediaTypes.ociIndex;
  if (announced !== undefined && type !== announced)
    throw new GantryError(
      "invalid-argument",
      `parse image index: announced as ${announced}, but it calls itself ${type}`,
    );
  if (!isIndexMediaType(type))
    throw new GantryError(
      "invalid-argument",
      `parse image index: ${type} is not the media type of an image index`,
    );
  return { ...index, mediaType: type };
}

/** Attestations and signatures live in the index as platform unknown/unknown (buildkit's attestation-storage.md). */
export function isAttestation(entry: Descriptor): boolean {
  return (
    entry.annotations?.["vnd.docker.reference.type"] === "attestation-manifest" ||
    (entry.platform?.os === "unknown" && entry.platform.architecture === "unknown")
  );
}

/** The entries that a machine of platform `wanted` can run, best first; nested indexes come last. */
export function candidatesFor(index: ImageIndex, wanted: Platform): readonly Descriptor[] {
  const ranked: { entry: Descriptor; distance: number }[] = [];
  for (const entry of index.manifests) {
    if (isAttestation(entry)) continue;
    const nested = isIndexMediaType(entry.mediaType);
    if (!nested && !isManifestMediaType(entry.mediaType)) continue;
    // an entry without a platform may serve; its config tells, after those which say so themselves
    const distance = entry.platform ? platformDistance(wanted, entry.platform) : nested ? 2000 : 1000;
    if (distance !== undefined) ranked.push({ entry, distance });
  }
  return ranked.sort((a, b) => a.distance - b.distance).map(({ entry }) => entry);
}

/** The platforms that an index offers, for error messages and listings. */
export function platformsOf(index: ImageIndex): readonly string[] {
  const offered = index.manifests.filter((entry) => entry.platform && !isAttestation(entry));
  return [...new Set(offered.map((entry) => formatPlatform(entry.platform as Platform)))];
}
