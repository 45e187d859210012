/**
 * An archive into a root that is in use, as `cp` does it: below a directory of the view, and nothing that is a
 * directory is ever replaced by something else.
 */
import { GantryError } from "../base/error.ts";
import { mapXattr } from "../linux/xattr-owners.ts";
import type { ByteString, TarEntry } from "../wire/tar-format.ts";
import type { TarSink } from "../wire/tar-reader.ts";
import { cleanPath, join, rootPath } from "./layer-path.ts";
import { LayerSession } from "./layer-session.ts";
import type { IdMap, Owner } from "./pack.ts";
import { Spool } from "./spool.ts";
import { defaultUnpackLimits, feedUnpacker, LayerUnpacker } from "./unpack.ts";
import { keepKinds, openView, type View } from "./view.ts";

export interface UnpackIntoOptions {
  /** The directory that it goes to: no symlink above its end. "" is the root. */
  readonly directory: ByteString;
  /** Of all of it; as the archive says unless told. */
  readonly owner?: Owner | undefined;
  /** How owners, and ids in attributes, are written at a path. */
  readonly ids?: ((path: ByteString) => IdMap) | undefined;
  /** Folder for file data on the way, where there is no memory for it. */
  readonly staging: string;
  readonly signal?: AbortSignal;
}

/** Puts members below the directory, with other owners if asked, on the way to the unpacker. */
class PlacedSink implements TarSink {
  readonly #inner: LayerUnpacker;
  readonly #options: UnpackIntoOptions;
  #skipping = false;

  constructor(inner: LayerUnpacker, options: UnpackIntoOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  #place(path: ByteString): ByteString {
    const { directory } = this.#options;
    const clean = cleanPath(path);
    return clean === rootPath ? directory : join(directory, clean);
  }

  entry(entry: TarEntry): void {
    const path = this.#place(entry.path);
    // the directory that all goes to is there, and stays as it is
    this.#skipping = path === this.#options.directory && entry.type === "directory";
    if (this.#skipping) return;
    const { owner = entry, ids } = this.#options;
    const linkPath = entry.type === "link" ? this.#place(entry.linkPath) : entry.linkPath;
    const placed = { ...entry, path, uid: owner.uid, gid: owner.gid, linkPath };
    // a hard link has the owner of what it names
    this.#inner.entry(ids && entry.type !== "link" ? mapped(placed, ids(path)) : placed);
  }

  data(bytes: Uint8Array, offset: number): void {
    if (!this.#skipping) this.#inner.data(bytes, offset);
  }

  end(): void {
    if (!this.#skipping) this.#inner.end();
  }
}

function mapped(entry: TarEntry, { uid, gid }: IdMap): TarEntry {
  const xattrs = entry.xattrs.map((xattr) => mapXattr(xattr, uid, gid));
  return { ...entry, uid: uid(entry.uid), gid: gid(entry.gid), xattrs };
}

/** In the words that docker has for it. */
function explain(error: unknown): unknown {
  if (!(error instanceof GantryError)) return error;
  const path = String(error.detail.path ?? "");
  const shown = JSON.stringify(path.startsWith("/") ? path : `/${path}`);
  if (error.detail.errno === "EISDIR")
    return new GantryError("failed-precondition", `cannot overwrite directory ${shown} with non-directory`, {
      detail: error.detail,
      cause: error,
    });
  if (error.detail.errno === "ENOTDIR")
    return new GantryError("failed-precondition", `cannot overwrite non-directory ${shown} with directory`, {
      detail: error.detail,
      cause: error,
    });
  if (error.detail.errno === "EROFS")
    return new GantryError("failed-precondition", "container rootfs is marked read-only", {
      detail: error.detail,
      cause: error,
    });
  return error;
}

/** Resolves when all of it is there. What was unpacked before a failure stays. */
export async function unpackInto(
  executor: string,
  what: string,
  view: View,
  tar: AsyncIterable<Uint8Array>,
  options: UnpackIntoOptions,
): Promise<void> {
  const { signal, staging } = options;
  await using session = new LayerSession(executor, what, new Spool(staging));
  const abort = () => session.fail(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    openView(session, view, 0, keepKinds);
    const limits = defaultUnpackLimits;
    const unpacker = new LayerUnpacker(session, limits, { plain: true });
    const sink = new PlacedSink(unpacker, options);
    await feedUnpacker(session, unpacker, sink, tar, { limits, ...(signal ? { signal } : {}) });
    unpacker.finish();
    session.add("layer-close", { root: 0 });
    await session.finish();
  } catch (error) {
    throw explain(error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
