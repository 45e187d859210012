/**
 * A tree as a tar archive: of a container for `cp` and `export`, of the host for `cp`, of an upper directory of overlay
 * as a layer. Names come in order, so the same tree gives the same archive.
 */
import { GantryError } from "../base/error.ts";
import { type ByteString, byteStringOf, textOfByteString } from "../wire/tar-format.ts";
import { tarEnd, tarHeader, tarPadding } from "../wire/tar-writer.ts";
import { join } from "./layer-path.ts";
import { hasOverlayMark, isOpaque, isOverlayXattr, isWhiteout } from "./overlay-marks.ts";
import type { TreeEntry } from "./tree-entry.ts";
import type { TreeSession } from "./tree-session.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface PackOptions {
  /** Where the tree is in the view: no symlink above its end. "" is the root. */
  readonly path: ByteString;
  /** Its name in the archive; "." or "" for what is in it alone, the latter without a member for itself. */
  readonly name: ByteString;
  /** Owners as they stand in the archive; as they are unless told. */
  readonly owner?: ((owner: Owner) => Owner) | undefined;
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

  #header(name: ByteString, entry: TreeEntry, more: { readonly link?: ByteString } = {}): Uint8Array {
    const type = more.link === undefined ? entry.type : "link";
    const { uid, gid } = this.#options.owner?.(entry) ?? entry;
    return tarHeader({
      path: (entry.type === "directory" ? `${name}/` : name) as ByteString,
      type: type as Exclude<typeof type, "other">,
      mode: entry.mode,
      uid,
      gid,
      mtimeSeconds: entry.mtimeSeconds,
      mtimeNanoseconds: entry.mtimeNanoseconds,
      sizeBytes: type === "file" ? entry.sizeBytes : 0,
      linkPath: more.link ?? entry.linkPath,
      major: entry.major,
      minor: entry.minor,
      xattrs: more.link === undefined ? entry.xattrs.filter((xattr) => !isOverlayXattr(xattr)) : [],
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
    if (name !== "" || layer) yield this.#header(name === "" ? byteStringOf(".") : name, entry);
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
    const { layer } = this.#options;
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
        // data of a file whose attributes alone were changed stand in the layers below
        const whole = layer && root !== layer.merged && hasOverlayMark(item.entry, "metacopy");
        this.#session.request(whole ? layer.merged : root, item.path);
      }
    };
    let taken = 0;
    ask(0);
    for (const item of items) {
      if (own.has(item)) {
        ask(taken++);
        yield* this.#file(item);
      } else yield* this.#other(item);
    }
  }

  async *#file({ name, entry: listed }: Item): AsyncGenerator<Uint8Array> {
    const found = await this.#session.take();
    // removed since its directory was read
    if (!found) return;
    const { entry, data } = found;
    yield this.#header(name, { ...entry, xattrs: listed.xattrs });
    for await (const chunk of data) yield chunk;
    const padding = tarPadding(entry.sizeBytes);
    if (padding.length > 0) yield padding;
    if (listed.links > 1) this.#linked.set(listed.key, name);
  }

  *#other({ name, entry }: Item): Generator<Uint8Array> {
    if (entry.type === "other") return;
    if (entry.type === "file") {
      const link = this.#linked.get(entry.key);
      if (link !== undefined) yield this.#header(name, entry, { link });
      return;
    }
    if (this.#options.layer && isWhiteout(entry)) {
      const slash = name.lastIndexOf("/") + 1;
      const path = `${name.slice(0, slash)}.wh.${name.slice(slash)}` as ByteString;
      yield tarHeader({ path, type: "file", mode: 0o600 });
      return;
    }
    yield this.#header(name, entry);
  }
}

interface Item {
  readonly path: ByteString;
  readonly name: ByteString;
  readonly entry: TreeEntry;
}

/** The archive of a tree in view `root` of the session. */
export function packTree(
  session: TreeSession,
  root: number,
  options: PackOptions,
): AsyncGenerator<Uint8Array> {
  return new Packer(session, options).pack(root);
}
