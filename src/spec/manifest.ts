/** Image manifests: OCI image-spec manifest.md and Docker's "image manifest version 2, schema 2". */
import { array, decodeJson, integer, object, optional, record, string } from "../base/decode.ts";
import { GantryError } from "../base/error.ts";
import { type Descriptor, descriptor, mediaType } from "./descriptor.ts";
import { isManifestMediaType, mediaTypes } from "./media-types.ts";

/** What registries accept at most for a manifest (distribution-spec, "Pushing manifests"). */
export const manifestLimitBytes = 4 * 1024 * 1024;

export interface ImageManifest {
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

const shape = object({
  schemaVersion: integer(2, 2),
  mediaType: optional(mediaType),
  config: descriptor,
  layers: array(descriptor, 1000),
  artifactType: optional(mediaType),
  subject: optional(descriptor),
  annotations: optional(record(string, 1000)),
  manifests: optional((value: unknown) => value),
});

/**
 * Decodes a manifest that was announced as `announced`. A document that could also be read as an
 * index, or that states another type than announced, is refused: two readers must not see two images
 * in the same bytes (GHSA-77vh-xpmg-72qh, CVE-2021-41190).
 */
export function decodeManifest(bytes: Uint8Array | string, announced?: string): ImageManifest {
  const {
    schemaVersion: _,
    manifests,
    ...manifest
  } = decodeJson(bytes, shape, "image manifest", manifestLimitBytes);
  if (manifests !== undefined)
    throw new GantryError("invalid-argument", "parse image manifest: it has both layers and manifests");
  const type = manifest.mediaType ?? announced ?? mediaTypes.ociManifest;
  if (announced !== undefined && type !== announced)
    throw new GantryError(
      "invalid-argument",
      `parse image manifest: announced as ${announced}, but it calls itself ${type}`,
    );
  if (!isManifestMediaType(type))
    throw new GantryError(
      "invalid-argument",
      `parse image manifest: ${type} is not the media type of an image manifest`,
    );
  return { ...manifest, mediaType: type };
}
