/** Extended headers of POSIX.1-2001: records `length key=value\n` in, the members that matter out. */
import type { ByteString, TarLimits, TarXattr } from "./tar-format.ts";
import { excessive, malformed } from "./tar-header.ts";

/** What the extended headers before a member say about it. Absent members leave the header's value. */
export interface PaxRecords {
  path?: ByteString;
  linkPath?: ByteString;
  sizeBytes?: number;
  uid?: number;
  gid?: number;
  mtime?: { readonly seconds: number; readonly nanoseconds: number };
  xattrs?: Map<ByteString, Uint8Array>;
  /** GNU.sparse.*, as written; offset and numbytes of version 0.0 repeat and stand in `sparsePairs`. */
  sparse?: Map<string, ByteString>;
  sparsePairs?: number[];
}

const xattrPrefix = "SCHILY.xattr.";
const sparsePrefix = "GNU.sparse.";

/** Adds the records of one extended header to `into`. An empty value takes an earlier record back. */
export function readPaxRecords(
  payload: Buffer,
  into: PaxRecords,
  limits: TarLimits,
  offset: number,
  global: boolean,
): void {
  for (let at = 0; at < payload.length; ) {
    let digitsEnd = at;
    let length = 0;
    for (; digitsEnd < payload.length && payload[digitsEnd] !== 0x20; digitsEnd++) {
      const digit = payload[digitsEnd]! - 0x30;
      if (digit < 0 || digit > 9 || digitsEnd - at > 8) {
        // some writers pad the last record with NULs
        if (payload.subarray(at).every((byte) => byte === 0)) return;
        malformed("extended header with a record that has no length", offset);
      }
      length = length * 10 + digit;
    }
    const end = at + length;
    if (digitsEnd === at || length < 5 || end > payload.length || payload[end - 1] !== 0x0a)
      malformed("extended header with a record of wrong length", offset);
    const keyEnd = payload.indexOf(0x3d, digitsEnd + 1);
    if (keyEnd <= digitsEnd + 1 || keyEnd >= end)
      malformed("extended header with a record that has no key", offset);
    const key = payload.toString("latin1", digitsEnd + 1, keyEnd);
    readRecord(key, payload, keyEnd + 1, end - 1, into, limits, offset, global);
    at = end;
  }
}

function readRecord(
  key: string,
  payload: Buffer,
  start: number,
  end: number,
  into: PaxRecords,
  limits: TarLimits,
  offset: number,
  global: boolean,
): void {
  if (key.startsWith(xattrPrefix)) {
    // as GNU tar writes them
    const name = key.slice(xattrPrefix.length).replaceAll("%3D", "=").replaceAll("%25", "%") as ByteString;
    if (name.length === 0 || name.length > 255 || name.includes("\0"))
      malformed("extended header with an xattr whose name is not 1 to 255 bytes", offset);
    if (end - start > limits.xattrBytes)
      excessive(`xattr "${name}" of more than ${limits.xattrBytes} bytes`, offset);
    into.xattrs ??= new Map();
    into.xattrs.set(name, Uint8Array.prototype.slice.call(payload, start, end));
    if (into.xattrs.size > limits.xattrs) excessive(`more than ${limits.xattrs} xattrs`, offset);
    return;
  }
  if (global && (key === "path" || key === "linkpath" || key === "size" || key.startsWith(sparsePrefix)))
    malformed(`global extended header with "${key}", which only one member can have`, offset);
  const empty = start === end;
  const value = () => payload.toString("latin1", start, end) as ByteString;
  switch (key) {
    case "path":
      into.path = empty ? undefined : path(value(), limits, offset);
      return;
    case "linkpath":
      into.linkPath = empty ? undefined : path(value(), limits, offset);
      return;
    case "size":
      into.sizeBytes = empty ? undefined : decimal(value(), key, offset);
      return;
    case "uid":
      into.uid = empty ? undefined : decimal(value(), key, offset);
      return;
    case "gid":
      into.gid = empty ? undefined : decimal(value(), key, offset);
      return;
    case "mtime":
      into.mtime = empty ? undefined : time(value(), offset);
      return;
    case "GNU.sparse.offset":
    case "GNU.sparse.numbytes": {
      into.sparsePairs ??= [];
      if ((into.sparsePairs.length % 2 === 0) !== (key === "GNU.sparse.offset"))
        malformed("sparse map whose offsets and lengths do not alternate", offset);
      if (into.sparsePairs.length >= limits.extents * 2)
        excessive(`more than ${limits.extents} extents`, offset);
      into.sparsePairs.push(decimal(value(), key, offset));
      return;
    }
    default:
      if (!key.startsWith(sparsePrefix)) return;
      into.sparse ??= new Map();
      into.sparse.set(key.slice(sparsePrefix.length), value());
  }
}

function path(value: ByteString, limits: TarLimits, offset: number): ByteString {
  if (value.includes("\0")) malformed("extended header with a path that holds a NUL", offset);
  if (value.length > limits.pathBytes)
    excessive(`path of ${value.length} bytes, more than ${limits.pathBytes}`, offset, value);
  return value;
}

export function decimal(value: string, key: string, offset: number): number {
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number))
    malformed(`extended header with ${key} ${JSON.stringify(value.slice(0, 40))}, not a number`, offset);
  return number;
}

function time(value: string, offset: number) {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value);
  if (!match)
    malformed(`extended header with mtime ${JSON.stringify(value.slice(0, 40))}, not a time`, offset);
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] === "") return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

const noXattrs: readonly TarXattr[] = [];

/** The xattrs of a member: the global ones, covered by its own; an empty own value takes one away. */
export function mergeXattrs(
  global: PaxRecords | undefined,
  own: PaxRecords | undefined,
): readonly TarXattr[] {
  if (!global?.xattrs && !own?.xattrs) return noXattrs;
  const merged = new Map([...(global?.xattrs ?? []), ...(own?.xattrs ?? [])]);
  return [...merged].map(([name, value]) => ({ name, value }));
}
