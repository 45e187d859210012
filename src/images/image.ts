/** An image that is in the store: its documents, decoded and verified, and the names of its layers. */
import { GantryError } from "../base/error.ts";
import type { ContentStore } from "../content/content-store.ts";
import { chainIdsOf } from "../spec/chain-id.ts";
import type { Descriptor } from "../spec/descriptor.ts";
import { type Digest, digestHex, isDigest } from "../spec/digest.ts";
import {
  decodeImageConfig,
  diffIdsOf,
  type ImageConfig,
  imageConfigLimitBytes,
  platformOf,
} from "../spec/image-config.ts";
import { decodeManifest, type ImageManifest, manifestLimitBytes } from "../spec/manifest.ts";
import type { Platform } from "../spec/platform.ts";
import {
  familiarReference,
  familiarRepository,
  formatReference,
  parseReference,
  parseReferenceExactly,
} from "../spec/reference.ts";
import type { ImageRecord, ImageStore } from "./image-store.ts";

/** What a container is made from. */
export interface ImageContent {
  /** The digest of the config, as `docker images` shows it. */
  readonly id: Digest;
  readonly manifestDescriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly imageConfig: ImageConfig;
  readonly platform: Platform;
  readonly diffIds: readonly Digest[];
  /** One per layer, lowest first; the last names the whole root file system. Empty for an image without layers. */
  readonly chainIds: readonly Digest[];
}

/** The same with what is known of its names, for which all names in the store are read. */
export interface Image extends ImageContent {
  /** Every name of the image in its complete form. */
  readonly names: readonly string[];
  /** `busybox:latest` */
  readonly repoTags: readonly string[];
  /** `busybox@sha256:…` */
  readonly repoDigests: readonly string[];
  readonly target: Descriptor;
  /** Compressed layers and config, as the registry counts. */
  readonly contentSizeBytes: number;
  /** When a name of it was last set, RFC 3339. */
  readonly updated: string;
}

/** Reads and checks the documents behind one manifest. */
export async function readImageDocuments(
  content: ContentStore,
  manifestDescriptor: Descriptor,
  options: { readonly signal?: AbortSignal } = {},
): Promise<{ manifest: ImageManifest; imageConfig: ImageConfig }> {
  const limits = { limitBytes: manifestLimitBytes, ...options };
  const manifest = decodeManifest(
    await content.readAll(manifestDescriptor.digest, limits),
    manifestDescriptor.mediaType,
  );
  const configBytes = await content.readAll(manifest.config.digest, {
    limitBytes: imageConfigLimitBytes,
    ...options,
  });
  return { manifest, imageConfig: checkedConfig(manifest, configBytes) };
}

/** Decodes the config of `manifest`; the two must agree on the number of layers. */
export function checkedConfig(manifest: ImageManifest, configBytes: Uint8Array): ImageConfig {
  const imageConfig = decodeImageConfig(configBytes);
  const diffIds = diffIdsOf(imageConfig).length;
  if (diffIds !== manifest.layers.length)
    throw new GantryError(
      "data-loss",
      `read image config "${manifest.config.digest}": it lists ${diffIds} layers, but the manifest ${manifest.layers.length}`,
    );
  return imageConfig;
}

function isUntagged(record: ImageRecord): boolean {
  return isDigest(record.name);
}

async function contentOf(
  content: ContentStore,
  manifestDescriptor: Descriptor,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ImageContent> {
  const { manifest, imageConfig } = await readImageDocuments(content, manifestDescriptor, options);
  const diffIds = diffIdsOf(imageConfig);
  return {
    id: manifest.config.digest,
    manifestDescriptor,
    manifest,
    imageConfig,
    platform: platformOf(imageConfig),
    diffIds,
    chainIds: await chainIdsOf(diffIds),
  };
}

/** Builds the image of records that share one manifest. */
async function imageFromRecords(
  content: ContentStore,
  records: readonly [ImageRecord, ...ImageRecord[]],
  options: { readonly signal?: AbortSignal } = {},
): Promise<Image> {
  const [first] = records;
  const image = await contentOf(content, first.manifest, options);
  const named = records.filter((record) => !isUntagged(record));
  const references = named.map((record) => ({ record, reference: parseReferenceExactly(record.name) }));
  const { layers, config } = image.manifest;
  return {
    ...image,
    names: named.map((record) => record.name),
    repoTags: references
      .filter(({ reference }) => reference.tag)
      .map(({ reference }) => familiarReference(reference)),
    repoDigests: [
      ...new Set(
        references.map(({ record, reference }) => `${familiarRepository(reference)}@${record.target.digest}`),
      ),
    ],
    target: first.target,
    contentSizeBytes: layers.reduce((sum, layer) => sum + layer.size, config.size),
    updated: records
      .map((record) => record.updated)
      .sort()
      .at(-1) as string,
  };
}

/** The records behind what a user wrote, the one that it names first: all that share its manifest. */
export function findRecords(images: ImageStore, text: string): readonly [ImageRecord, ...ImageRecord[]] {
  const record = findRecord(images, text);
  return [
    record,
    ...images
      .list()
      .filter((other) => other.manifest.digest === record.manifest.digest && other.name !== record.name),
  ];
}

/** The record behind a reference, an image ID or the beginning of one. */
function findRecord(images: ImageStore, text: string): ImageRecord {
  const missing = (): never => {
    throw new GantryError("not-found", `No such image: ${withTag(text)}`, { detail: { image: text } });
  };
  const idText = text.startsWith("sha256:") ? text.slice("sha256:".length) : text;
  const mayBeId = /^[0-9a-f]{1,64}$/.test(idText);
  const onlyId = mayBeId && (idText !== text || idText.length === 64);
  if (!onlyId) {
    const record = images.get(nameOf(text, mayBeId)) ?? recordByDigest(images, text);
    if (record) return record;
  }
  if (!mayBeId) return missing();
  const all = images.list();
  // a full digest may also be that of the manifest or of what the registry answered
  const found = all.filter(
    (record) =>
      digestHex(record.config.digest).startsWith(idText) ||
      (idText.length === 64 &&
        [record.manifest.digest, record.target.digest].some((known) => digestHex(known) === idText)),
  );
  const ids = new Set(found.map((record) => record.config.digest));
  if (ids.size > 1)
    throw new GantryError(
      "failed-precondition",
      `find image "${text}": ${ids.size} images have an ID that begins so`,
      {
        detail: { image: text, ids: [...ids] },
      },
    );
  return found[0] ?? missing();
}

/** As docker names what it does not find: with the tag that it has looked for. */
function withTag(text: string): string {
  try {
    return familiarReference(parseReference(text));
  } catch {
    // 64 digits of an ID
    return text;
  }
}

/** The complete name for what was written, which may be no reference at all if it may be an ID. */
function nameOf(text: string, mayBeId: boolean): string {
  try {
    const { tag, ...reference } = parseReference(text);
    // with a digest the tag is only a remark: docker drops it too
    return formatReference(reference.digest || tag === undefined ? reference : { ...reference, tag });
  } catch (error) {
    if (mayBeId) return text;
    throw error;
  }
}

/** `repo@digest` also finds an image that was pulled by tag, if the digest is that of its target or manifest. */
function recordByDigest(images: ImageStore, text: string): ImageRecord | undefined {
  const at = text.indexOf("@");
  if (at < 0) return undefined;
  const wanted = parseReferenceExactly(text);
  return images.list().find((record) => {
    if (isUntagged(record)) return false;
    const own = parseReferenceExactly(record.name);
    return (
      own.domain === wanted.domain &&
      own.path === wanted.path &&
      (record.target.digest === wanted.digest || record.manifest.digest === wanted.digest)
    );
  });
}

/** Opens an image by reference, ID or ID prefix; not-found if the store has none. */
export async function openImage(
  deps: { readonly content: ContentStore; readonly images: ImageStore },
  text: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Image> {
  return await imageFromRecords(deps.content, findRecords(deps.images, text), options);
}

/** The same for who makes a container of it, and asks for no names: the store may have thousands. */
export async function openImageContent(
  deps: { readonly content: ContentStore; readonly images: ImageStore },
  text: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ImageContent> {
  return await contentOf(deps.content, findRecord(deps.images, text).manifest, options);
}

/** All images, one per manifest, newest name first. */
export async function listImages(
  deps: { readonly content: ContentStore; readonly images: ImageStore },
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly Image[]> {
  const groups = new Map<Digest, [ImageRecord, ...ImageRecord[]]>();
  for (const record of deps.images.list()) {
    const group = groups.get(record.manifest.digest);
    if (group) group.push(record);
    else groups.set(record.manifest.digest, [record]);
  }
  const images: Image[] = [];
  for (const group of groups.values()) images.push(await imageFromRecords(deps.content, group, options));
  return images.sort((a, b) => (a.updated < b.updated ? 1 : -1));
}
