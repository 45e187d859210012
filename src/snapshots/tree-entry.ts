/** What the executor tells of one thing in a tree (native/tree_tell.c has the form). Pure. */
import { GantryError } from "../base/error.ts";
import type { ByteString, TarEntryType, TarXattr } from "../wire/tar-format.ts";

export interface TreeEntry {
  readonly name: ByteString;
  /** "socket" and whatever else no archive can hold. */
  readonly type: Exclude<TarEntryType, "link"> | "other";
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly major: number;
  readonly minor: number;
  /** Whether something is mounted here. */
  readonly mounted: boolean;
  /** Device and inode in one: the same for two names of one file. */
  readonly key: string;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  /** Of a symlink, else empty. */
  readonly linkPath: ByteString;
  readonly xattrs: readonly TarXattr[];
}

/** By the S_IFMT bits of a mode (inode(7)). */
const types = new Map<number, TreeEntry["type"]>([
  [0o010000, "fifo"],
  [0o020000, "character-device"],
  [0o040000, "directory"],
  [0o060000, "block-device"],
  [0o100000, "file"],
  [0o120000, "symlink"],
]);

/** The entry, or the errno of what could not be looked at. */
export function decodeTreeEntry(payload: Uint8Array): { errno: number; name: ByteString } | TreeEntry {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  let at = 0;
  const need = (count: number) => {
    if (bytes.length - at < count)
      throw new GantryError("data-loss", `read tree entry: it ends after ${bytes.length} bytes`);
    at += count;
    return at - count;
  };
  const u32 = () => bytes.readUInt32LE(need(4));
  const u64 = () => bytes.readBigUInt64LE(need(8));
  const take = () => {
    const length = u32();
    const start = need(length);
    return bytes.subarray(start, start + length);
  };
  const text = () => take().toString("latin1") as ByteString;
  const [errno, mode, uid, gid, links, major, minor, mounted] = Array.from({ length: 8 }, u32) as [
    ...[number, number, number, number, number, number, number, number],
  ];
  const key = `${u64()}:${u64()}`;
  const sizeBytes = Number(u64());
  const mtimeSeconds = Number(bytes.readBigInt64LE(need(8)));
  const mtimeNanoseconds = u32();
  const count = u32();
  const name = text();
  const linkPath = text();
  if (errno !== 0) return { errno, name };
  const xattrs = Array.from({ length: count }, () => ({ name: text(), value: Uint8Array.from(take()) }));
  return {
    ...{
      name,
      type: types.get(mode & 0o170000) ?? "other",
      mode: mode & 0o7777,
      uid,
      gid,
      links,
      major,
      minor,
    },
    ...{ mounted: mounted !== 0, key, sizeBytes, mtimeSeconds, mtimeNanoseconds, linkPath, xattrs },
  };
}
