/**
 * Tar members -> layer steps: decides what each member means for the directory of a layer. Whatever
 * a path resolves to is the executor's matter, which cannot leave the root; here names are cleaned,
 * whiteouts read, limits kept, and the attributes of directories held back to the end, since making
 * entries in a directory changes its time.
 */
import { GantryError } from "../base/error.ts";
import {
  type ByteString,
  type TarEntry,
  type TarLimits,
  type TarXattr,
  textOfByteString,
} from "../wire/tar-format.ts";
import { TarReader, type TarSink } from "../wire/tar-reader.ts";
import { cleanPath, parentOf, rootPath, whiteoutOf } from "./layer-path.ts";
import type { LayerSession } from "./layer-session.ts";
import { spoolChunkBytes } from "./spool.ts";

export interface UnpackLimits {
  /** Members. */
  readonly entries: number;
  /** Bytes of all files, holes counted. */
  readonly sizeBytes: number;
  /** Components of a path. */
  readonly depth: number;
}

/** Far above any real image (the largest known have a million files and 100 GB), far below a full disk of inodes. */
export const defaultUnpackLimits: UnpackLimits = {
  entries: 4_000_000,
  sizeBytes: 512 * 1024 ** 3,
  depth: 512,
};

export interface Unpacked {
  readonly entries: number;
  /** Bytes of all files. */
  readonly sizeBytes: number;
  /** Directories that hide what lower layers have in them; "" is the root. */
  readonly opaque: readonly ByteString[];
  /** Directories that no member describes: what lower layers say of them holds. */
  readonly implied: readonly ByteString[];
}

const rootRegister = 0;

/** How a path of this layer was last seen; paths through a symlink of the layer are not followed here. */
type Seen = "directory" | "symlink" | "whiteout";

interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly seconds: number;
  readonly nanoseconds: number;
}

function attributesOf(entry: TarEntry): Attributes {
  return {
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    seconds: entry.mtimeSeconds,
    nanoseconds: entry.mtimeNanoseconds,
  };
}

/**
 * Attributes that a layer may bring. overlay's own would let one layer show files of another under
 * any name (redirect, metacopy), so they are dropped, as those of a mount that may use either prefix.
 */
function isForLayer(name: string): boolean {
  return !name.startsWith("trusted.overlay.") && !name.startsWith("user.overlay.");
}

export class LayerUnpacker implements TarSink {
  readonly #session: LayerSession;
  readonly #limits: UnpackLimits;
  readonly #plain: boolean;
  readonly #seen = new Map<ByteString, Seen>([[rootPath, "directory"]]);
  readonly #directories = new Map<ByteString, Attributes>();
  /** What is made in a directory gets these: so they come last. */
  readonly #defaultAcls = new Map<ByteString, TarXattr>();
  readonly #opaque = new Set<ByteString>();
  readonly #implied = new Set<ByteString>([rootPath]);
  #sizeBytes = 0;
  #entries = 0;
  #lastParent: ByteString = rootPath;

  #file: TarEntry | undefined;
  #path = rootPath;
  #begun = false;
  #fileEnd = 0;
  #chunkStart = 0;
  #spoolOffset = 0;

  /** `plain`: an archive that is no layer, in which the names of whiteouts are names like others. */
  constructor(session: LayerSession, limits: UnpackLimits, options: { readonly plain?: boolean } = {}) {
    this.#session = session;
    this.#limits = limits;
    this.#plain = options.plain ?? false;
  }

  #refuse(entry: TarEntry, reason: string): never {
    const name = textOfByteString(entry.path);
    throw new GantryError(
      "invalid-argument",
      `apply layer: member ${JSON.stringify(name.slice(0, 300))}: ${reason}`,
      {
        detail: { entry: name.slice(0, 4096), offset: entry.headerOffset },
      },
    );
  }

  #exceed(what: string): never {
    throw new GantryError("resource-exhausted", `apply layer: ${what}`);
  }

  /** Directories that members only imply count as they do: a short archive of deep paths would make many. */
  #count(): void {
    if (++this.#entries > this.#limits.entries) this.#exceed(`more than ${this.#limits.entries} members`);
  }

  entry(entry: TarEntry): void {
    this.#file = undefined;
    this.#count();
    if (entry.uid === 0xffffffff || entry.gid === 0xffffffff) this.#refuse(entry, "owner or group -1");
    const path = cleanPath(entry.path);
    const whiteout = this.#plain ? undefined : whiteoutOf(path);
    if (whiteout?.kind === "aufs") return;
    this.#checkDepth(entry, path);
    if (whiteout) {
      if (whiteout.kind === "path") this.#whiteout(whiteout.path);
      else this.#opaqueDirectory(whiteout.path);
      return;
    }
    if (path === rootPath && entry.type !== "directory") this.#refuse(entry, `the root is no ${entry.type}`);
    this.#needParent(path);
    const attributes = attributesOf(entry);
    const root = rootRegister;
    switch (entry.type) {
      case "directory":
        this.#directory(path);
        this.#implied.delete(path);
        this.#directories.set(path, attributes);
        break;
      case "file":
        this.#sizeBytes += entry.sizeBytes;
        if (this.#sizeBytes > this.#limits.sizeBytes)
          this.#exceed(`files of more than ${this.#limits.sizeBytes} bytes`);
        this.#forget(path);
        this.#file = entry;
        this.#path = path;
        this.#begun = false;
        this.#fileEnd = 0;
        return;
      case "symlink":
        this.#forget(path);
        this.#seen.set(path, "symlink");
        this.#session.add("layer-symlink", {
          root,
          path,
          target: entry.linkPath,
          uid: entry.uid,
          gid: entry.gid,
          seconds: entry.mtimeSeconds,
          nanoseconds: entry.mtimeNanoseconds,
        });
        break;
      case "link": {
        const target = cleanPath(entry.linkPath);
        if (target === rootPath) this.#refuse(entry, "a hard link to the root");
        this.#checkDepth(entry, target);
        if (target !== path) this.#forget(path);
        this.#session.add("layer-link", { root, path, target });
        return;
      }
      case "fifo":
      case "character-device":
      case "block-device": {
        this.#forget(path);
        const type = entry.type === "fifo" ? 1 : entry.type === "character-device" ? 2 : 6;
        if (!(entry.major >= 0 && entry.major < 4096 && entry.minor >= 0 && entry.minor < 1 << 20))
          this.#refuse(entry, "no device number of Linux");
        // 0:0 is how overlay writes a whiteout, whoever made it
        if (type === 2 && entry.major === 0 && entry.minor === 0) this.#seen.set(path, "whiteout");
        this.#session.add("layer-node", {
          root,
          path,
          type,
          major: entry.major,
          minor: entry.minor,
          ...attributes,
        });
        break;
      }
      default:
        entry.type satisfies never;
    }
    this.#xattrs(path, entry);
  }

  /** Where the chunk that is parsed next lies in the spool. */
  chunk(bytes: Uint8Array): void {
    this.#chunkStart = bytes.byteOffset;
    this.#spoolOffset = this.#session.spool(bytes);
  }

  data(bytes: Uint8Array, offset: number): void {
    const entry = this.#file;
    if (!entry) return;
    const from = this.#spoolOffset + bytes.byteOffset - this.#chunkStart;
    if (!this.#begun) {
      const first = offset === 0 ? bytes.length : 0;
      this.#beginFile(entry, from, first);
      if (first === 0) this.#session.add("layer-append", { offset, more: 1, from, length: bytes.length });
    } else if (offset === this.#fileEnd) this.#session.append(offset, from, bytes.length);
    else this.#session.add("layer-append", { offset, more: 1, from, length: bytes.length });
    this.#fileEnd = offset + bytes.length;
  }

  end(): void {
    const entry = this.#file;
    if (!entry) return;
    if (!this.#begun) this.#beginFile(entry, 0, 0);
    this.#session.endFile(this.#fileEnd);
    this.#file = undefined;
    this.#xattrs(this.#path, entry);
  }

  /** Steps that come last; gives what is to be remembered of the layer. */
  finish(): Unpacked {
    const root = rootRegister;
    for (const [path, { name, value }] of this.#defaultAcls)
      this.#session.add("layer-xattr", { root, path, name, value });
    for (const [path, attributes] of this.#directories)
      this.#session.add("layer-attributes", { root, path, ...attributes });
    return {
      entries: this.#entries,
      sizeBytes: this.#sizeBytes,
      opaque: [...this.#opaque],
      implied: [...this.#implied].filter((path) => this.#seen.get(path) === "directory"),
    };
  }

  #beginFile(entry: TarEntry, from: number, length: number): void {
    this.#begun = true;
    this.#session.add("layer-file", {
      root: rootRegister,
      path: this.#path,
      ...attributesOf(entry),
      size: entry.sizeBytes,
      more: 1,
      from,
      length,
    });
  }

  #checkDepth(entry: TarEntry, path: ByteString): void {
    if (path.length <= this.#limits.depth) return;
    let depth = 1;
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) depth++;
    if (depth > this.#limits.depth)
      this.#exceed(`a path of ${depth} components, more than ${this.#limits.depth}`);
    if (path.length > 4095) this.#refuse(entry, `a path of ${path.length} bytes`);
  }

  #forget(path: ByteString): void {
    if (this.#seen.get(path) === "directory") {
      this.#directories.delete(path);
      this.#defaultAcls.delete(path);
      this.#opaque.delete(path);
      this.#implied.delete(path);
    }
    this.#seen.delete(path);
  }

  #directory(path: ByteString): void {
    const seen = this.#seen.get(path);
    if (seen === "directory") return;
    if (seen === "whiteout") this.#opaque.add(path);
    this.#seen.set(path, "directory");
    this.#session.add("layer-directory", { root: rootRegister, path });
  }

  /** Makes the directories above a path that no member has brought yet. */
  #needParent(path: ByteString): void {
    const parent = parentOf(path);
    if (parent === this.#lastParent && this.#seen.get(parent) === "directory") return;
    const missing: ByteString[] = [];
    for (let at = parent; at !== rootPath; at = parentOf(at)) {
      const seen = this.#seen.get(at);
      if (seen === "symlink") return;
      if (seen !== "directory") missing.push(at);
    }
    for (const directory of missing.reverse()) {
      this.#count();
      this.#directory(directory);
      this.#implied.add(directory);
    }
    this.#lastParent = parent;
  }

  #whiteout(path: ByteString): void {
    this.#needParent(path);
    const seen = this.#seen.get(path);
    if (seen === "directory") this.#opaque.add(path);
    else if (seen === undefined) this.#seen.set(path, "whiteout");
    this.#session.add("layer-whiteout", { root: rootRegister, path });
  }

  #opaqueDirectory(path: ByteString): void {
    if (path !== rootPath) {
      this.#needParent(path);
      const seen = this.#seen.get(path);
      if (seen !== "directory" && seen !== "symlink") {
        this.#directory(path);
        this.#implied.add(path);
      }
      this.#session.add("layer-opaque", { root: rootRegister, path });
    }
    this.#opaque.add(path);
  }

  #xattrs(path: ByteString, entry: TarEntry): void {
    for (const xattr of entry.xattrs) {
      const { name, value } = xattr;
      if (!isForLayer(name)) continue;
      if (name === "system.posix_acl_default") this.#defaultAcls.set(path, xattr);
      else this.#session.add("layer-xattr", { root: rootRegister, path, name, value });
    }
  }
}

export interface UnpackOptions {
  readonly limits?: Partial<UnpackLimits>;
  readonly tarLimits?: Partial<TarLimits>;
  readonly unprivileged?: boolean;
  readonly signal?: AbortSignal;
}

/** Unpacks a layer's tar into the directory `root`, which exists and is empty. */
export async function unpackLayer(
  session: LayerSession,
  root: string,
  tar: AsyncIterable<Uint8Array>,
  options: UnpackOptions = {},
): Promise<Unpacked> {
  const limits = { ...defaultUnpackLimits, ...options.limits };
  const sink = new LayerUnpacker(session, limits);
  session.add("layer-root", {
    path: Buffer.from(root).toString("latin1") as ByteString,
    options: options.unprivileged ? 3 : 0,
    root: rootRegister,
  });
  await feedUnpacker(session, sink, sink, tar, { ...options, limits });
  const unpacked = sink.finish();
  session.add("layer-close", { root: rootRegister });
  await session.finish();
  return unpacked;
}

/** Hands an archive to an unpacker, or to a sink in front of it, as fast as the session takes it. */
export async function feedUnpacker(
  session: LayerSession,
  unpacker: LayerUnpacker,
  sink: TarSink,
  tar: AsyncIterable<Uint8Array>,
  options: UnpackOptions & { readonly limits: UnpackLimits },
): Promise<void> {
  const reader = new TarReader(sink, { ...options.tarLimits, entries: options.limits.entries });
  for await (const whole of tar)
    for (let at = 0; at < whole.length; at += spoolChunkBytes) {
      options.signal?.throwIfAborted();
      const chunk = whole.length <= spoolChunkBytes ? whole : whole.subarray(at, at + spoolChunkBytes);
      const pause = session.ready(chunk.length);
      if (pause) await pause;
      unpacker.chunk(chunk);
      reader.push(chunk);
    }
  reader.finish();
}
