/**
 * What reader and writer of tar archives share: the entry, its limits, and names as bytes.
 *
 * tar-stream was judged first and left: it decodes names and pax values as UTF-8 (a name or an xattr
 * that is not UTF-8 comes out changed), knows no sparse files, applies no limit but one of 4 MiB on
 * extended headers, lets the rest of a malformed pax header pass silently, and costs a Node stream and
 * several promises for every member. Container layers need all of these right and are read by the
 * gigabyte. Where formats leave room, Go's archive/tar decides here, since Docker, containerd and
 * podman all read layers with it and a second opinion would be a way to smuggle.
 *
 * Formats: POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU tar manual appendix D ("Tar Internals"), v7.
 */

declare const byteStringBrand: unique symbol;

/**
 * Bytes as a string of characters 0 to 255, one each: names in archives are bytes without an
 * encoding. Engines store these in one byte a character, and all string methods work on them.
 */
export type ByteString = string & { readonly [byteStringBrand]: true };

/** The byte string of ordinary text, in UTF-8. */
export function byteStringOf(text: string): ByteString {
  return Buffer.from(text, "utf8").toString("latin1") as ByteString;
}

/** Text for people: UTF-8 where it is that, replacement characters where it is not. */
export function textOfByteString(bytes: ByteString): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

export type TarEntryType =
  | "file"
  | "directory"
  | "symlink"
  | "link"
  | "character-device"
  | "block-device"
  | "fifo";

export interface TarXattr {
  readonly name: ByteString;
  readonly value: Uint8Array;
}

/** Part of a sparse file that has data; the rest of the file is holes. */
export interface TarExtent {
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface TarEntry {
  /** As the archive has it: it may be absolute, hold `..` or end with a slash. Never with a NUL. */
  readonly path: ByteString;
  readonly type: TarEntryType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970, rounded down, and the nanoseconds above them. */
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  /** Length of a file with its holes; 0 for all other types. */
  readonly sizeBytes: number;
  /** Target of a symlink, or path of the member that a link is another name of; else empty. */
  readonly linkPath: ByteString;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly TarXattr[];
  /** Extents in ascending order, for a sparse file only. */
  readonly sparse?: readonly TarExtent[];
  /** Where the member's own header stands in the archive. */
  readonly headerOffset: number;
}

export interface TarLimits {
  /** Members of one archive. */
  readonly entries: number;
  /** Bytes of a path or link target; Linux takes 4095. */
  readonly pathBytes: number;
  /** Bytes of one extended header (Go: 1 MiB). */
  readonly paxBytes: number;
  readonly xattrs: number;
  /** Bytes of one value (Linux: 64 KiB). */
  readonly xattrBytes: number;
  /** Extents of a sparse file. A map without a limit was CVE-2025-58183. */
  readonly extents: number;
}

export const defaultTarLimits: TarLimits = {
  entries: 4_000_000,
  pathBytes: 4095,
  paxBytes: 1024 * 1024,
  xattrs: 256,
  xattrBytes: 64 * 1024,
  extents: 64 * 1024,
};

export const blockBytes = 512;
