/** Giving images names and taking them away; an image that loses its last name stays as untagged. */
import { GantryError } from "../base/error.ts";
import type { ContentStore } from "../content/content-store.ts";
import { formatReference, parseReference, type Reference } from "../spec/reference.ts";
import { findRecords } from "./image.ts";
import type { ImageRecord, ImageStore } from "./image-store.ts";

/** The key of a reference in the image store: with a digest, the tag is only a remark, as for docker. */
export function imageName(reference: Reference): string {
  const { domain, path, digest } = reference;
  return formatReference(digest === undefined ? reference : { domain, path, digest });
}

function hasManifest(images: ImageStore, record: ImageRecord): boolean {
  return images.list().some((other) => other.manifest.digest === record.manifest.digest);
}

/** Sets a name. What had the name before keeps an untagged record, unless it has other names. */
export function setName(images: ImageStore, record: ImageRecord): void {
  const previous = images.get(record.name);
  images.put(record);
  if (previous && previous.manifest.digest !== record.manifest.digest && !hasManifest(images, previous))
    images.put({ ...previous, name: previous.manifest.digest });
  // a named image needs no record without a name
  if (record.name !== record.manifest.digest) images.remove(record.manifest.digest);
}

/** Gives a further name to the image that `source` names; both as a user writes them. */
export async function tagImage(
  deps: { readonly content: ContentStore; readonly images: ImageStore },
  source: string,
  newName: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const reference = parseReference(newName);
  if (reference.digest)
    throw new GantryError("invalid-argument", `tag image "${source}": a name with a digest cannot be given`);
  const [record] = findRecords(deps.images, source);
  options.signal?.throwIfAborted();
  const name = formatReference(reference);
  setName(deps.images, { ...record, name, updated: new Date().toISOString() });
  // a removal in another process may have been faster: look only after the name protects the content
  if (await deps.content.info(record.manifest.digest)) return;
  deps.images.remove(name);
  throw new GantryError("not-found", `tag image "${source}": it was removed meanwhile`, {
    detail: { image: source },
  });
}
