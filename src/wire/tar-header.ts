/** One header block of a tar archive: its fields, checked one by one, not yet put together. */
import { GantryError } from "../base/error.ts";
import type { ByteString } from "./tar-format.ts";

/** Fails at an archive that breaks the format. `name` may be empty where none is known. */
export function malformed(reason: string, offset: number, name: string = ""): never {
  throw new GantryError("invalid-argument", `read tar${memberWord(name)}: ${reason} (at byte ${offset})`, {
    detail: { offset, ...(name === "" ? {} : { entry: displayName(name) }) },
  });
}

/** Fails at an archive that asks for more than the limits give. */
export function excessive(reason: string, offset: number, name: string = ""): never {
  throw new GantryError("resource-exhausted", `read tar${memberWord(name)}: ${reason} (at byte ${offset})`, {
    detail: { offset, ...(name === "" ? {} : { entry: displayName(name) }) },
  });
}

export function memberWord(name: string): string {
  return name === "" ? "" : ` member ${JSON.stringify(displayName(name))}`;
}

function displayName(name: string): string {
  return Buffer.from(name.slice(0, 300), "latin1").toString("utf8");
}

/** A field up to its first NUL. */
export function textField(block: Buffer, start: number, length: number): ByteString {
  let end = start;
  const limit = start + length;
  while (end < limit && block[end] !== 0) end++;
  return block.toString("latin1", start, end) as ByteString;
}

/**
 * A number: octal digits between spaces and NULs, or base-256 two's complement when the first bit is
 * set (GNU; Go and star write it too). Undefined if it is neither or no exact number can hold it.
 */
export function numberField(block: Buffer, start: number, length: number): number | undefined {
  const first = block[start]!;
  if (first & 0x80) return base256(block, start, length);
  let at = start;
  let end = start + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  while (end > at && (block[end - 1] === 0x20 || block[end - 1] === 0)) end--;
  let value = 0;
  for (; at < end; at++) {
    const digit = block[at]! - 0x30;
    // some writers put a NUL, then rubbish, after the digits
    if (digit === -0x30 || digit === -0x10) break;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  return Number.isSafeInteger(value) ? value : undefined;
}

function base256(block: Buffer, start: number, length: number): number | undefined {
  const negative = (block[start]! & 0x40) !== 0;
  let value = negative ? -1n : 0n;
  for (let at = start; at < start + length; at++) {
    const byte = at === start ? (block[at]! & 0x7f) | (negative ? 0x80 : 0) : block[at]!;
    value = at === start ? (negative ? BigInt(byte) - 256n : BigInt(byte)) : value * 256n + BigInt(byte);
  }
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Whether the checksum field has the sum of the block, of unsigned or (old Sun tar) signed bytes. */
export function checksumFits(block: Buffer, start: number): boolean {
  let sum = 8 * 0x20;
  let high = 0;
  for (let at = start; at < start + 148; at++) {
    sum += block[at]!;
    high += block[at]! >> 7;
  }
  for (let at = start + 156; at < start + 512; at++) {
    sum += block[at]!;
    high += block[at]! >> 7;
  }
  const stored = numberField(block, start + 148, 8);
  return stored === sum || stored === sum - 256 * high;
}

export function isZeroBlock(block: Buffer, start: number): boolean {
  if (block[start] !== 0) return false;
  for (let at = start; at < start + 512; at++) if (block[at] !== 0) return false;
  return true;
}

export type HeaderFormat = "v7" | "ustar" | "gnu" | "star";

export function headerFormat(block: Buffer, start: number): HeaderFormat {
  const magic = block.toString("latin1", start + 257, start + 265);
  if (magic === "ustar  \0") return "gnu";
  if (!magic.startsWith("ustar\0")) return "v7";
  return block.toString("latin1", start + 508, start + 512) === "tar\0" ? "star" : "ustar";
}
