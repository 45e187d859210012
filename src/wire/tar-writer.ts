/**
 * Writes tar archives: ustar where the fields hold the values, a pax header before the member where
 * they do not. The same entries give the same bytes.
 */
import { GantryError } from "../base/error.ts";
import {
  type ByteString,
  blockBytes,
  type TarEntryType,
  type TarExtent,
  type TarXattr,
  textOfByteString,
} from "./tar-format.ts";

export interface TarMember {
  readonly path: ByteString;
  readonly type: TarEntryType;
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtimeSeconds?: number;
  readonly mtimeNanoseconds?: number;
  /** Bytes that follow, for a file. */
  readonly sizeBytes?: number;
  readonly linkPath?: ByteString;
  readonly major?: number;
  readonly minor?: number;
  readonly xattrs?: readonly TarXattr[];
  /**
   * Of a sparse file, whose data are those of these parts alone (GNU tar manual, "PAX Format, Version 1.0"): whole blocks
   * of 512 bytes, but for the last.
   */
  readonly extents?: readonly TarExtent[];
}

const flagOfType: Readonly<Record<TarEntryType, string>> = {
  file: "0",
  link: "1",
  symlink: "2",
  "character-device": "3",
  "block-device": "4",
  directory: "5",
  fifo: "6",
};

/** The two zero blocks that end an archive. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * blockBytes);
}

/** Zeros from the end of a file's data to the next block. */
export function tarPadding(sizeBytes: number): Uint8Array {
  return new Uint8Array((blockBytes - (sizeBytes % blockBytes)) % blockBytes);
}

/** The header blocks of a member; of a sparse file with the map that stands before the data. */
export function tarHeader(member: TarMember): Uint8Array {
  const { extents, sizeBytes: realSizeBytes = 0 } = member;
  if (!extents) return memberHeader(member, []);
  const last = extents.at(-1);
  // GNU tar takes the end of the last part for that of the file
  const isOpen = !last || last.offset + last.sizeBytes < realSizeBytes;
  const parts = isOpen ? [...extents, { offset: realSizeBytes, sizeBytes: 0 }] : extents;
  const lines = parts.flatMap(({ offset, sizeBytes }) => [offset, sizeBytes]);
  const map = Buffer.from([parts.length, ...lines].map((number) => `${number}\n`).join(""));
  const dataBytes = extents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const padded = Buffer.concat([map, tarPadding(map.length)]);
  const { path } = member;
  const base = path.slice(path.lastIndexOf("/") + 1);
  const records = [
    paxRecord("GNU.sparse.major", Buffer.from("1")),
    paxRecord("GNU.sparse.minor", Buffer.from("0")),
    paxRecord("GNU.sparse.name", Buffer.from(path, "latin1")),
    paxRecord("GNU.sparse.realsize", Buffer.from(String(realSizeBytes))),
  ];
  // the name by which it goes for who does not know the form
  const shown = `${path.slice(0, path.length - base.length)}GNUSparseFile.0/${base}` as ByteString;
  const header = memberHeader({ ...member, path: shown, sizeBytes: padded.length + dataBytes }, records);
  return Buffer.concat([header, padded]);
}

function memberHeader(member: TarMember, records: Buffer[]): Uint8Array {
  const { path, linkPath = "" as ByteString } = member;
  const {
    uid = 0,
    gid = 0,
    mtimeSeconds = 0,
    mtimeNanoseconds = 0,
    sizeBytes = 0,
    major = 0,
    minor = 0,
  } = member;
  if (path === "" || path.includes("\0") || linkPath.includes("\0"))
    throw new GantryError(
      "invalid-argument",
      `write tar member ${JSON.stringify(textOfByteString(path))}: not a path`,
    );
  const record = (key: string, value: Buffer) => records.push(paxRecord(key, value));
  const number = (key: string, value: number, octalDigits: number) => {
    if (Number.isSafeInteger(value) && value >= 0 && value < 8 ** octalDigits) return value;
    if (!Number.isSafeInteger(value) || (value < 0 && key !== "mtime"))
      throw new GantryError(
        "invalid-argument",
        `write tar member "${textOfByteString(path)}": ${key} ${value}`,
      );
    if (key !== "mtime") record(key, Buffer.from(String(value)));
    return 0;
  };

  const parts = splitPath(path);
  if (!parts) record("path", Buffer.from(path, "latin1"));
  if (linkPath.length > 100) record("linkpath", Buffer.from(linkPath, "latin1"));
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, start: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, start, length, "latin1");
  block.write(parts ? parts.name : path.slice(-100), 0, 100, "latin1");
  if (parts) block.write(parts.prefix, 345, 155, "latin1");
  octal(member.mode & 0o7777, 100, 8);
  octal(number("uid", uid, 7), 108, 8);
  octal(number("gid", gid, 7), 116, 8);
  octal(number("size", member.type === "file" ? sizeBytes : 0, 11), 124, 12);
  const wholeTime = number("mtime", mtimeSeconds, 11);
  if (mtimeNanoseconds !== 0 || wholeTime !== mtimeSeconds)
    record("mtime", Buffer.from(timeText(mtimeSeconds, mtimeNanoseconds)));
  octal(wholeTime, 136, 12);
  block.write("        ", 148, 8, "latin1");
  block.write(flagOfType[member.type], 156, 1, "latin1");
  block.write(linkPath, 157, 100, "latin1");
  block.write("ustar\0" + "00", 257, 8, "latin1");
  if (major >= 8 ** 7 || minor >= 8 ** 7)
    throw new GantryError("invalid-argument", `write tar member "${textOfByteString(path)}": device number`);
  octal(major, 329, 8);
  octal(minor, 337, 8);
  for (const { name, value } of member.xattrs ?? [])
    record(`SCHILY.xattr.${escapeKey(name)}`, Buffer.from(value));
  checksum(block);
  if (records.length === 0) return block;

  const payload = Buffer.concat(records);
  const extended = Buffer.from(block);
  extended.fill(0, 0, 100);
  extended.write(`PaxHeaders/${path.split("/").at(-1)}`, 0, 100, "latin1");
  extended.fill(0, 157, 257);
  extended.fill(0, 345, 500);
  extended.write(`${payload.length.toString(8).padStart(11, "0")}\0`, 124, 12, "latin1");
  extended.write("x", 156, 1, "latin1");
  extended.write("        ", 148, 8, "latin1");
  checksum(extended);
  return Buffer.concat([extended, payload, tarPadding(payload.length), block]);
}

function checksum(block: Buffer): void {
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
}

/** As GNU tar writes a name that holds the sign which ends a key (its src/xheader.c, xattr_encode_keyword). */
function escapeKey(name: ByteString): string {
  return name.replaceAll("%", "%25").replaceAll("=", "%3D");
}

/** `length key=value\n`, where the length counts its own digits. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = 3 + Buffer.byteLength(key, "latin1") + value.length;
  let digits = 1;
  while (String(rest + digits).length > digits) digits++;
  return Buffer.concat([Buffer.from(`${rest + digits} ${key}=`, "latin1"), value, Buffer.from("\n")]);
}

function timeText(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, fraction] = seconds < 0 ? [seconds + 1, 1_000_000_000 - nanoseconds] : [seconds, nanoseconds];
  const sign = seconds < 0 && whole === 0 ? "-" : "";
  return `${sign}${whole}.${String(fraction).padStart(9, "0")}`;
}

/** Divides a path into the 155 and 100 bytes of ustar, at a slash. */
function splitPath(path: ByteString): { readonly prefix: string; readonly name: string } | undefined {
  if (path.length <= 100) return { prefix: "", name: path };
  for (
    let slash = path.indexOf("/", path.length - 101);
    slash > 0 && slash <= 155;
    slash = path.indexOf("/", slash + 1)
  )
    if (slash < path.length - 1) return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
  return undefined;
}

/** Writes members with data in memory: an archive for tests and small exports. */
export function tarArchive(members: readonly (TarMember & { readonly data?: Uint8Array })[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { data, ...member } of members) {
    parts.push(tarHeader({ ...member, sizeBytes: data?.length ?? 0 }));
    if (data) parts.push(data, tarPadding(data.length));
  }
  return Buffer.concat([...parts, tarEnd()]);
}
