/** Removing images by name or ID, with docker's rules for images that have several names. */
import { GantryError } from "../base/error.ts";
import { isDigest } from "../spec/digest.ts";
import { familiarReference, parseReference, parseReferenceExactly } from "../spec/reference.ts";
import { collectGarbage, type GarbageDeps } from "./garbage.ts";
import { findRecords } from "./image.ts";
import type { ImageRecord } from "./image-store.ts";
import { imageName } from "./naming.ts";

export interface RemovedImage {
  /** Names that are gone, as docker shows them. */
  readonly untagged: readonly string[];
  /** Image ID and layers (chainIDs) that are gone. */
  readonly deleted: readonly string[];
  readonly freedBytes: number;
}

export interface RemoveImageOptions {
  /** Remove an image by ID although it has several names. */
  readonly force?: boolean;
  /** Who uses the image (container IDs); asked before its last name goes. */
  readonly usedBy?: (record: ImageRecord) => Promise<readonly string[]>;
  readonly signal?: AbortSignal;
}

function shown(record: ImageRecord): string {
  return isDigest(record.name) ? record.name : familiarReference(parseReferenceExactly(record.name));
}

/** Whether the user named one name of the image, rather than the image itself by its ID. */
function namedRecord(text: string, records: readonly ImageRecord[]): ImageRecord | undefined {
  try {
    const name = imageName(parseReference(text));
    return records.find((record) => record.name === name);
  } catch {
    // an ID: findRecords has taken it already
    return undefined;
  }
}

export async function removeImage(
  deps: GarbageDeps,
  text: string,
  options: RemoveImageOptions = {},
): Promise<RemovedImage> {
  const { signal, force = false } = options;
  signal?.throwIfAborted();
  const records = findRecords(deps.images, text);
  const [first] = records;
  const named = namedRecord(text, records);
  const repositories = new Set(records.map((record) => record.name.replace(/[:@][^/]*$/, "")));
  if (!named && repositories.size > 1 && !force)
    throw new GantryError(
      "failed-precondition",
      `remove image "${text}": it is referenced in multiple repositories (${records.map(shown).join(", ")}), and must be forced`,
      { detail: { image: text, names: records.map(shown) } },
    );
  const going = named ? [named] : records;
  if (going.length === records.length) {
    const users = (await options.usedBy?.(first)) ?? [];
    if (users.length > 0)
      throw new GantryError(
        "failed-precondition",
        `remove image "${text}": it is being used by container ${users.join(", ")}`,
        {
          detail: { image: text, containers: users },
        },
      );
  }
  const untagged = going.filter((record) => deps.images.remove(record.name)).map(shown);
  if (going.length < records.length) return { untagged, deleted: [], freedBytes: 0 };
  const { layers, freedBytes } = await collectGarbage(deps, signal ? { signal } : {});
  return { untagged, deleted: [first.config.digest, ...layers], freedBytes };
}
