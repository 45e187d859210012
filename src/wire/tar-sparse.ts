/** Maps of sparse files in their four spellings: old GNU headers and pax versions 0.0, 0.1, 1.0. */
import { blockBytes, type TarExtent, type TarLimits } from "./tar-format.ts";
import { excessive, malformed, numberField } from "./tar-header.ts";
import { decimal, type PaxRecords } from "./tar-pax.ts";

/** Adds `count` pairs of 24 bytes of an old GNU map; gives false at the pair that ends it. */
export function readOldGnuPairs(
  block: Buffer,
  start: number,
  count: number,
  into: number[],
  limits: TarLimits,
  offset: number,
): boolean {
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    if (block[at] === 0) return false;
    if (into.length >= limits.extents * 2) excessive(`more than ${limits.extents} extents`, offset);
    const from = numberField(block, at, 12);
    const length = numberField(block, at + 12, 12);
    if (from === undefined || length === undefined)
      malformed("sparse map with a field that is no number", offset);
    into.push(from, length);
  }
  return true;
}

export interface PaxSparse {
  readonly realSizeBytes: number;
  /** Absent for version 1.0, whose map stands before the data. */
  readonly pairs?: readonly number[];
}

/** What the records say about sparseness, undefined if nothing. */
export function paxSparse(records: PaxRecords, limits: TarLimits, offset: number): PaxSparse | undefined {
  const { sparse, sparsePairs } = records;
  if (!sparse && !sparsePairs) return undefined;
  const version = `${sparse?.get("major") ?? "0"}.${sparse?.get("minor") ?? (sparsePairs ? "0" : "1")}`;
  const size = sparse?.get("realsize") ?? sparse?.get("size");
  if (size === undefined) {
    // Go ignores records of no version that it knows
    if (sparse?.has("map") || sparsePairs || sparse?.has("major"))
      malformed("sparse file without a size", offset);
    return undefined;
  }
  const realSizeBytes = decimal(size, "GNU.sparse.size", offset);
  if (version === "1.0") return { realSizeBytes };
  if (version !== "0.0" && version !== "0.1") malformed(`sparse file of unknown version ${version}`, offset);
  if (sparsePairs) {
    if (sparsePairs.length % 2 === 1) malformed("sparse map that ends with an offset", offset);
    return { realSizeBytes, pairs: sparsePairs };
  }
  const map = sparse?.get("map");
  if (map === undefined) return undefined;
  const pairs = map === "" ? [] : map.split(",", limits.extents * 2 + 1);
  if (pairs.length > limits.extents * 2) excessive(`more than ${limits.extents} extents`, offset);
  if (pairs.length % 2 === 1) malformed("sparse map that ends with an offset", offset);
  return { realSizeBytes, pairs: pairs.map((number) => decimal(number, "GNU.sparse.map", offset)) };
}

/** Extents of a map: ascending, apart, inside the file, and as long together as the data. */
export function checkedExtents(
  pairs: readonly number[],
  realSizeBytes: number,
  dataBytes: number,
  offset: number,
  name: string,
): readonly TarExtent[] {
  const extents: TarExtent[] = [];
  let end = 0;
  let sum = 0;
  for (let index = 0; index < pairs.length; index += 2) {
    const from = pairs[index]!;
    const sizeBytes = pairs[index + 1]!;
    if (from < end || sizeBytes < 0 || from + sizeBytes > realSizeBytes)
      malformed("sparse map whose extents overlap or leave the file", offset, name);
    end = from + sizeBytes;
    sum += sizeBytes;
    if (sizeBytes > 0) extents.push({ offset: from, sizeBytes });
  }
  if (sum > dataBytes) malformed("sparse map with more data than the member has", offset, name);
  return extents;
}

/** Takes the decimal map of pax 1.0 block by block: `count \n offset \n length \n …`, NUL-padded. */
export class SparseMapReader {
  readonly #limits: TarLimits;
  readonly #offset: number;
  readonly #name: string;
  #wanted = -1;
  #digits = 0;
  #number = 0;
  readonly pairs: number[] = [];

  constructor(limits: TarLimits, offset: number, name: string) {
    this.#limits = limits;
    this.#offset = offset;
    this.#name = name;
  }

  /** True when the map ended in this block. */
  push(block: Buffer, start: number): boolean {
    for (let at = start; at < start + blockBytes; at++) {
      const byte = block[at]!;
      if (byte !== 0x0a) {
        const digit = byte - 0x30;
        if (digit < 0 || digit > 9 || ++this.#digits > 15)
          malformed("sparse map with a line that is no number", this.#offset, this.#name);
        this.#number = this.#number * 10 + digit;
        continue;
      }
      if (this.#digits === 0) malformed("sparse map with an empty line", this.#offset, this.#name);
      if (this.#wanted >= 0) this.pairs.push(this.#number);
      else if (this.#number > this.#limits.extents)
        excessive(`more than ${this.#limits.extents} extents`, this.#offset, this.#name);
      else this.#wanted = this.#number * 2;
      this.#digits = 0;
      this.#number = 0;
      if (this.pairs.length === this.#wanted) return true;
    }
    return false;
  }
}
