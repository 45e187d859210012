/** Pushing an image: blobs that the registry lacks, then the manifest, byte for byte as it is here. */
import { GantryError } from "../base/error.ts";
import type { ContentStore } from "../content/content-store.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { Descriptor } from "../spec/descriptor.ts";
import { manifestLimitBytes } from "../spec/manifest.ts";
import { familiarReference, parseReference } from "../spec/reference.ts";
import { openImage } from "./image.ts";
import type { ImageStore } from "./image-store.ts";

export interface PushDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly registry: Pick<RegistryClient, "pushBlob" | "pushManifest">;
}

export type PushEvent =
  | {
      readonly kind: "blob";
      readonly phase: "Preparing" | "Pushed" | "Layer already exists";
      readonly blob: Descriptor;
    }
  | { readonly kind: "manifest"; readonly manifest: Descriptor };

export interface PushOptions {
  readonly onProgress?: (event: PushEvent) => void;
  readonly signal?: AbortSignal;
}

/** Pushes the image that `text` names to the registry of that name; gives the manifest's descriptor. */
export async function pushImage(
  deps: PushDeps,
  text: string,
  options: PushOptions = {},
): Promise<Descriptor> {
  const { content, registry } = deps;
  const { onProgress, signal } = options;
  const common = signal ? { signal } : {};
  const reference = parseReference(text);
  if (reference.digest)
    throw new GantryError(
      "invalid-argument",
      `push image "${familiarReference(reference)}": a name with a digest cannot be pushed to`,
    );
  const { manifest, manifestDescriptor } = await openImage(deps, text, common);
  const blobs = [...manifest.layers, manifest.config];
  // a layer that another image had unpacked already was never downloaded
  for (const blob of blobs) {
    onProgress?.({ kind: "blob", phase: "Preparing", blob });
    if ((await content.info(blob.digest, common))?.sizeBytes !== blob.size)
      throw new GantryError(
        "failed-precondition",
        `push image "${familiarReference(reference)}": blob ${blob.digest} is not here, pull the image again`,
        {
          detail: { digest: blob.digest },
        },
      );
  }
  for (const blob of blobs) {
    const { uploaded } = await registry.pushBlob(
      reference,
      blob,
      () => content.read(blob.digest, common),
      common,
    );
    onProgress?.({ kind: "blob", phase: uploaded ? "Pushed" : "Layer already exists", blob });
  }
  const bytes = await content.readAll(manifestDescriptor.digest, {
    limitBytes: manifestLimitBytes,
    ...common,
  });
  const pushed = await registry.pushManifest(reference, manifest.mediaType, bytes, common);
  onProgress?.({ kind: "manifest", manifest: pushed });
  return pushed;
}
