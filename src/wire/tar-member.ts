/** One member of a tar archive: its header block and what extended headers before it said, put together. */
import { GantryError } from "../base/error.ts";
import type { ByteString, TarEntry, TarEntryType, TarLimits } from "./tar-format.ts";
import { excessive, type HeaderFormat, malformed, memberWord, numberField, textField } from "./tar-header.ts";
import { mergeXattrs, type PaxRecords } from "./tar-pax.ts";

/** What stood before the member's own header. */
export interface SaidBefore {
  readonly own: PaxRecords | undefined;
  readonly global: PaxRecords | undefined;
  readonly longName: ByteString | undefined;
  readonly longLink: ByteString | undefined;
}

export interface MemberHeader {
  readonly block: Buffer;
  readonly start: number;
  readonly offset: number;
  readonly format: HeaderFormat;
  readonly flag: string;
  readonly size: number;
  /** Whether the extended header calls it a sparse file. */
  readonly sparse: boolean;
}

const typeOfFlag: Readonly<Record<string, TarEntryType>> = {
  "\0": "file",
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  D: "directory",
  S: "file",
};

const emptyPath = "" as ByteString;

/** Bytes of the prefix field, by format; GNU keeps other things there. */
const prefixBytes: Readonly<Record<HeaderFormat, number>> = { v7: 0, gnu: 0, ustar: 155, star: 131 };

function pathOf(header: MemberHeader, { own, longName }: SaidBefore, limits: TarLimits): ByteString {
  const { block, start, offset, format, sparse } = header;
  const said = longName ?? (sparse ? own?.sparse?.get("name") : undefined) ?? own?.path;
  let path = said ?? textField(block, start, 100);
  if (said === undefined && prefixBytes[format] > 0 && block[start + 345] !== 0)
    path = `${textField(block, start + 345, prefixBytes[format])}/${path}` as ByteString;
  if (path === "") malformed("a member without a name", offset);
  if (path.includes("\0")) malformed("a name with a NUL", offset, path);
  if (path.length > limits.pathBytes)
    excessive(`path of ${path.length} bytes, more than ${limits.pathBytes}`, offset, path);
  return path;
}

function typeOf({ flag, offset }: MemberHeader, path: ByteString): TarEntryType {
  const type = typeOfFlag[flag];
  if (type === undefined)
    throw new GantryError(
      "unimplemented",
      `read tar${memberWord(path)}: unknown type ${JSON.stringify(flag)} (at byte ${offset})`,
      { detail: { offset, type: flag } },
    );
  // how v7 wrote directories
  return (flag === "\0" || flag === "0") && path.endsWith("/") ? "directory" : type;
}

/** The member, and the bytes of data that follow its header. */
export function readMember(
  header: MemberHeader,
  said: SaidBefore,
  limits: TarLimits,
): { readonly entry: TarEntry; readonly dataBytes: number } {
  const { block, start, offset, format, flag, size } = header;
  const { own, global, longLink } = said;
  const path = pathOf(header, said, limits);
  const type = typeOf(header, path);
  const number = (from: number, length: number, what: string) =>
    numberField(block, start + from, length) ?? malformed(`${what} is no number`, offset, path);
  const device = type === "character-device" || type === "block-device";
  const uid = own?.uid ?? global?.uid ?? number(108, 8, "owner");
  const gid = own?.gid ?? global?.gid ?? number(116, 8, "group");
  if (uid < 0 || gid < 0 || uid > 0xffffffff || gid > 0xffffffff)
    malformed(`owner ${uid} or group ${gid} is no 32-bit number`, offset, path);
  const mtime = own?.mtime ?? global?.mtime;
  // as in Go, a size of anything but a file says nothing of data; GNU's dump directories have some
  const dataBytes = type === "file" || flag === "D" ? (own?.sizeBytes ?? size) : 0;
  const linked = type === "link" || type === "symlink";
  const linkPath = linked ? (longLink ?? own?.linkPath ?? textField(block, start + 157, 100)) : emptyPath;
  if (linked && linkPath === "") malformed("a link without a target", offset, path);
  const entry: TarEntry = {
    path,
    type,
    mode: number(100, 8, "mode") & 0o7777,
    uid,
    gid,
    mtimeSeconds: mtime ? mtime.seconds : number(136, 12, "time"),
    mtimeNanoseconds: mtime ? mtime.nanoseconds : 0,
    sizeBytes: type === "file" ? dataBytes : 0,
    linkPath,
    major: device && format !== "v7" ? number(329, 8, "device number") : 0,
    minor: device && format !== "v7" ? number(337, 8, "device number") : 0,
    xattrs: mergeXattrs(global, own),
    headerOffset: offset,
  };
  return { entry, dataBytes };
}
