/**
 * A tree as a tar archive: of a container for `cp` and `export`, of the host for `cp`, of an upper directory of overlay
 * as a layer. Names come in order, so the same tree gives the same archive.
 */
import { GantryError } from "../base/error.ts";
import { type MapId, mapXattr } from "../linux/xattr-owners.ts";
import {
  type ByteString,
  byteStringOf,
  type TarExtent,
  type TarXattr,
  textOfByteString,
} from "../wire/tar-format.ts";
import { tarEnd, tarHeader, tarPadding } from "../wire/tar-writer.ts";
import { join } from "./layer-path.ts";
import { hasOverlayMark, isOpaque, isOverlayXattr, isWhiteout } from "./overlay-marks.ts";
import type { TreeEntry } from "./tree-entry.ts";
import type { TreeSession } from "./tree-session.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** How owners, and ids in extended attributes, are written down. */
export interface IdMap {
  readonly uid: MapId;
  readonly gid: MapId;
}

export interface PackOptions {
  /** Where the tree is in the view: no symlink above its end. "" is the root. */
  readonly path: ByteString;
  /** Its name in the archive; "." or "" for what is in it alone, the latter without a member for itself. */
  readonly name: ByteString;
  /** Of what is at a path of a root; as they are unless told. */
  readonly ids?: ((path: ByteString, root: number) => IdMap) | undefined;
  /** Holes stay holes, in pax form, which not every reader of archives knows. */
  readonly holes?: boolean | undefined;
  /** What is left out with all that is in it; `path` is that in the view. */
  readonly omit?: ((path: ByteString, entry: TreeEntry) => boolean) | undefined;
  /** The tree is an upper directory: its marks become the whiteouts of a layer (image-spec, layer.md). */
  readonly layer?: { readonly merged: number } | undefined;
}

/** Files that are asked for before the first of them has come. */
const readAhead = 16;

class Packer {
  readonly #session: TreeSession;
  readonly #options: PackOptions;
  /** Names in the archive of files with several, by device and inode. */
  readonly #linked = new Map<string, ByteString>();

  constructor(session: TreeSession, options: PackOptions) {
    this.#session = session;
    this.#options = options;
  }

  async *pack(root: number): AsyncGenerator<Uint8Array> {
    const { path, name } = this.#options;
    const entry = await this.#session.stat(root, path);
    if (!entry)
      throw new GantryError("not-found", `pack ${JSON.stringify(textOfByteString(path))}: it is gone`);
    if (entry.type === "directory") yield* this.#directory(root, path, name, entry);
    else yield* this.#run(root, [{ path, name, entry }]);
    yield tarEnd();
  }

  #header(root: number, { path, name, entry }: Item, more: HeaderOptions = {}): Uint8Array {
    const type = more.link === undefined ? entry.type : "link";
    const ids = this.#options.ids?.(path, root);
    const owned = (xattr: TarXattr) => (ids ? mapXattr(xattr, ids.uid, ids.gid) : xattr);
    return tarHeader({
      path: (entry.type === "directory" ? `${name}/` : name) as ByteString,
      type: type as Exclude<typeof type, "other">,
      mode: entry.mode,
      uid: ids?.uid(entry.uid) ?? entry.uid,
      gid: ids?.gid(entry.gid) ?? entry.gid,
      mtimeSeconds: entry.mtimeSeconds,
      mtimeNanoseconds: entry.mtimeNanoseconds,
      sizeBytes: type === "file" ? entry.sizeBytes : 0,
      linkPath: more.link ?? entry.linkPath,
      major: entry.major,
      minor: entry.minor,
      xattrs:
        more.link === undefined ? entry.xattrs.filter((xattr) => !isOverlayXattr(xattr)).map(owned) : [],
      ...(more.extents ? { extents: more.extents } : {}),
    });
  }

  async *#directory(
    root: number,
    path: ByteString,
    name: ByteString,
    entry: TreeEntry,
  ): AsyncGenerator<Uint8Array> {
    const { layer, omit } = this.#options;
    // of a layer the root has its attributes too
    if (name !== "" || layer)
      yield this.#header(root, { path, name: name === "" ? byteStringOf(".") : name, entry });
    // the names below a directory that was moved stand in the layers below: it is packed as it is seen
    const moved = layer && root !== layer.merged && hasOverlayMark(entry, "redirect");
    if (layer && root !== layer.merged && (moved || isOpaque(entry)))
      yield tarHeader({ path: join(name, byteStringOf(".wh..wh..opq")), type: "file", mode: 0o600 });
    const inner = moved ? layer.merged : root;
    const run: Item[] = [];
    for (const one of (await this.#session.list(inner, path)) ?? []) {
      const at = join(path, one.name);
      if (omit?.(at, one)) continue;
      if (layer && one.name.startsWith(".wh."))
        throw new GantryError(
          "failed-precondition",
          `pack layer: a layer cannot hold a file called ${JSON.stringify(textOfByteString(one.name))}`,
          { detail: { path: textOfByteString(at) } },
        );
      const item = { path: at, name: join(name, one.name), entry: one };
      if (one.type !== "directory") {
        run.push(item);
        continue;
      }
      yield* this.#run(inner, run.splice(0));
      yield* this.#directory(inner, at, item.name, one);
    }
    yield* this.#run(inner, run);
  }

  /** What is no directory, in order, with some files asked for ahead. */
  async *#run(root: number, items: readonly Item[]): AsyncGenerator<Uint8Array> {
    const { layer, holes = false } = this.#options;
    // data of a file whose attributes alone were changed stand in the layers below
    const sourceOf = ({ entry }: Item) =>
      layer && root !== layer.merged && hasOverlayMark(entry, "metacopy") ? layer.merged : root;
    const own = new Set<Item>();
    const firsts = new Map<string, Item>();
    for (const item of items) {
      const { type, links, key } = item.entry;
      if (type !== "file") continue;
      if (links > 1 && (this.#linked.has(key) || firsts.has(key))) continue;
      firsts.set(key, item);
      own.add(item);
    }
    const wanted = [...own];
    let asked = 0;
    const ask = (taken: number) => {
      for (; asked < wanted.length && asked < taken + readAhead; asked++) {
        const item = wanted[asked]!;
        this.#session.request(sourceOf(item), item.path, { holes });
      }
    };
    let taken = 0;
    ask(0);
    for (const item of items) {
      if (own.has(item)) {
        ask(taken++);
        yield* this.#file(sourceOf(item), item);
      } else yield* this.#other(root, item);
    }
  }

  async *#file(root: number, { path, name, entry: listed }: Item): AsyncGenerator<Uint8Array> {
    const found = await this.#session.take();
    // removed since its directory was read
    if (!found) return;
    const { entry, extents, data } = found;
    const isWhole = extents === undefined || isOneExtent(extents, entry.sizeBytes);
    const item = { path, name, entry: { ...entry, xattrs: listed.xattrs } };
    yield this.#header(root, item, isWhole ? {} : { extents });
    let bytes = 0;
    for await (const chunk of data) {
      bytes += chunk.length;
      yield chunk;
    }
    const padding = tarPadding(bytes);
    if (padding.length > 0) yield padding;
    if (listed.links > 1) this.#linked.set(listed.key, name);
  }

  *#other(root: number, item: Item): Generator<Uint8Array> {
    const { name, entry } = item;
    if (entry.type === "other") return;
    if (entry.type === "file") {
      const link = this.#linked.get(entry.key);
      if (link !== undefined) yield this.#header(root, item, { link });
      return;
    }
    if (this.#options.layer && isWhiteout(entry)) {
      const slash = name.lastIndexOf("/") + 1;
      const path = `${name.slice(0, slash)}.wh.${name.slice(slash)}` as ByteString;
      yield tarHeader({ path, type: "file", mode: 0o600 });
      return;
    }
    yield this.#header(root, item);
  }
}

interface HeaderOptions {
  readonly link?: ByteString;
  readonly extents?: readonly TarExtent[];
}

interface Item {
  readonly path: ByteString;
  readonly name: ByteString;
  readonly entry: TreeEntry;
}

/** Whether all of a file is data. */
function isOneExtent([first, ...others]: readonly TarExtent[], sizeBytes: number): boolean {
  if (!first) return sizeBytes === 0;
  return others.length === 0 && first.offset === 0 && first.sizeBytes === sizeBytes;
}

/** The archive of a tree in view `root` of the session. */
export function packTree(
  session: TreeSession,
  root: number,
  options: PackOptions,
): AsyncGenerator<Uint8Array> {
  return new Packer(session, options).pack(root);
}
