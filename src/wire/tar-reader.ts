/**
 * A streaming reader of tar archives: chunks go in, a sink is told of members and their data. Pure and
 * synchronous, so that back-pressure is the caller's: he pushes the next chunk when he can take more.
 * Data is handed on as views of the chunk pushed, never copied.
 */
import { GantryError } from "../base/error.ts";
import {
  type ByteString,
  blockBytes,
  defaultTarLimits,
  type TarEntry,
  type TarExtent,
  type TarLimits,
} from "./tar-format.ts";
import {
  checksumFits,
  excessive,
  headerFormat,
  isZeroBlock,
  malformed,
  memberWord,
  numberField,
  textField,
} from "./tar-header.ts";
import { readMember, type SaidBefore } from "./tar-member.ts";
import { type PaxRecords, readPaxRecords } from "./tar-pax.ts";
import { checkedExtents, paxSparse, readOldGnuPairs, SparseMapReader } from "./tar-sparse.ts";

export interface TarSink {
  /** A member begins. Its data follows by `data` if it is a file that is not empty. */
  entry(entry: TarEntry): void;
  /** The next bytes of the file, to stand at `offset` in it; only valid until `push` returns. */
  data(bytes: Uint8Array, offset: number): void;
  /** All of the member has been told. */
  end(): void;
}

type State =
  /** at a header block */
  | "header"
  /** in the payload of an extended header or long name */
  | "meta"
  /** at a block that goes on with an old GNU sparse map */
  | "extension"
  /** at a block of a pax 1.0 sparse map */
  | "map"
  /** in the data of a file */
  | "data"
  /** in what is passed over: padding, members of no interest */
  | "skip"
  /** after the two zero blocks: all that follows is passed over */
  | "end";

export class TarReader {
  readonly #sink: TarSink;
  readonly #limits: TarLimits;
  #state: State = "header";
  /** Bytes of the archive before the chunk in hand. */
  #base = 0;
  readonly #block = Buffer.alloc(blockBytes);
  #blockFill = 0;
  #zeroBlocks = 0;
  #entries = 0;

  /** Bytes left of meta payload, data or what is skipped. */
  #left = 0;
  #padding = 0;
  #meta: Buffer = this.#block;
  #metaFill = 0;
  #metaFlag = "";
  #metaOffset = 0;

  #global: PaxRecords | undefined;
  #own: PaxRecords | undefined;
  #longName: ByteString | undefined;
  #longLink: ByteString | undefined;

  /** The member whose map or data is under way. */
  #pending: TarEntry | undefined;
  #pairs: number[] = [];
  #mapReader: SparseMapReader | undefined;
  #extents: readonly TarExtent[] = [];
  #extentIndex = 0;
  #extentDone = 0;
  #fileOffset = 0;

  constructor(sink: TarSink, limits: Partial<TarLimits> = {}) {
    this.#sink = sink;
    this.#limits = { ...defaultTarLimits, ...limits };
  }

  /** Members begun so far. */
  get entries(): number {
    return this.#entries;
  }

  /** Takes the next bytes of the archive; throws at the first that are wrong. */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const length = bytes.length;
    for (let at = 0; at < length; ) {
      switch (this.#state) {
        case "data":
          at = this.#takeData(bytes, at);
          break;
        case "skip": {
          const taken = Math.min(this.#left, length - at);
          this.#left -= taken;
          at += taken;
          if (this.#left === 0) this.#state = "header";
          break;
        }
        case "meta":
          at = this.#takeMeta(bytes, at);
          break;
        case "end":
          at = length;
          break;
        default:
          at = this.#takeBlock(bytes, at);
      }
    }
    this.#base += length;
  }

  /** The archive is over; throws data-loss if it ended within a member. */
  finish(): void {
    const { state, name } = { state: this.#state, name: this.#pending?.path ?? "" };
    if (state === "end" || (state === "header" && this.#blockFill === 0 && !this.#hasMeta())) return;
    throw new GantryError(
      "data-loss",
      `read tar${memberWord(name)}: the archive ends in the middle (after ${this.#base} bytes)`,
      { detail: { offset: this.#base } },
    );
  }

  #hasMeta(): boolean {
    return this.#own !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #takeBlock(bytes: Buffer, at: number): number {
    if (this.#blockFill === 0 && bytes.length - at >= blockBytes) {
      this.#onBlock(bytes, at, this.#base + at);
      return at + blockBytes;
    }
    const taken = Math.min(blockBytes - this.#blockFill, bytes.length - at);
    bytes.copy(this.#block, this.#blockFill, at, at + taken);
    this.#blockFill += taken;
    if (this.#blockFill === blockBytes) {
      this.#blockFill = 0;
      this.#onBlock(this.#block, 0, this.#base + at + taken - blockBytes);
    }
    return at + taken;
  }

  #onBlock(block: Buffer, start: number, offset: number): void {
    switch (this.#state) {
      case "header":
        this.#onHeader(block, start, offset);
        return;
      case "extension": {
        const more = readOldGnuPairs(block, start, 21, this.#pairs, this.#limits, offset);
        if (!more || block[start + 504] === 0) this.#beginSparse(this.#pairs);
        return;
      }
      case "map": {
        this.#left -= blockBytes;
        if (this.#mapReader!.push(block, start)) this.#beginSparse(this.#mapReader!.pairs);
        else if (this.#left < blockBytes)
          malformed("sparse map that does not end", offset, this.#pending!.path);
        return;
      }
      default:
        return;
    }
  }

  #onHeader(block: Buffer, start: number, offset: number): void {
    if (isZeroBlock(block, start)) {
      if (++this.#zeroBlocks === 2) {
        if (this.#hasMeta()) malformed("extended header with no member after it", offset);
        this.#state = "end";
      }
      return;
    }
    if (this.#zeroBlocks > 0) malformed("a single zero block within the archive", offset);
    if (!checksumFits(block, start)) malformed("a header with a wrong checksum", offset);
    const flag = String.fromCharCode(block[start + 156]!);
    const size = numberField(block, start + 124, 12);
    if (size === undefined || size < 0) malformed("a size that is no number", offset);
    switch (flag) {
      case "x":
      case "X":
      case "g":
      case "L":
      case "K":
        this.#beginMeta(flag, size, offset);
        return;
      case "V":
        this.#skip(size, offset);
        return;
      default:
        this.#onMember(block, start, offset, flag, size);
        return;
    }
  }

  #onMember(block: Buffer, start: number, offset: number, flag: string, size: number): void {
    if (++this.#entries > this.#limits.entries)
      excessive(`more than ${this.#limits.entries} members`, offset);
    const format = headerFormat(block, start);
    const said: SaidBefore = {
      own: this.#own,
      global: this.#global,
      longName: this.#longName,
      longLink: this.#longLink,
    };
    const sparse = said.own && paxSparse(said.own, this.#limits, offset);
    const { entry, dataBytes } = readMember(
      { block, start, offset, format, flag, size, sparse: sparse !== undefined },
      said,
      this.#limits,
    );
    this.#own = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#left = dataBytes;
    this.#padding = (blockBytes - (dataBytes % blockBytes)) % blockBytes;
    this.#pending = entry;

    if (flag === "S") {
      this.#onOldGnuSparse(block, start, offset, format);
      return;
    }
    if (sparse && entry.type === "file") {
      this.#pending = { ...entry, sizeBytes: sparse.realSizeBytes };
      if (sparse.pairs) {
        this.#beginSparse(sparse.pairs);
        return;
      }
      this.#mapReader = new SparseMapReader(this.#limits, offset, entry.path);
      if (dataBytes < blockBytes) malformed("sparse map that does not end", offset, entry.path);
      this.#state = "map";
      return;
    }
    this.#begin(entry, entry.type === "file");
  }

  #onOldGnuSparse(block: Buffer, start: number, offset: number, format: string): void {
    const entry = this.#pending!;
    if (format !== "gnu") malformed("a sparse member outside the GNU format", offset, entry.path);
    const sizeBytes = numberField(block, start + 483, 12);
    if (sizeBytes === undefined || sizeBytes < 0) malformed("a size that is no number", offset, entry.path);
    this.#pending = { ...entry, sizeBytes };
    this.#pairs = [];
    const more = readOldGnuPairs(block, start + 386, 4, this.#pairs, this.#limits, offset);
    if (more && block[start + 482] !== 0) this.#state = "extension";
    else this.#beginSparse(this.#pairs);
  }

  #beginSparse(pairs: readonly number[]): void {
    const entry = this.#pending!;
    const sparse = checkedExtents(pairs, entry.sizeBytes, this.#left, entry.headerOffset, entry.path);
    this.#extents = sparse;
    this.#extentIndex = 0;
    this.#extentDone = 0;
    this.#mapReader = undefined;
    const wanted = sparse.reduce((sum, extent) => sum + extent.sizeBytes, 0);
    // data after the last extent belongs to nobody
    this.#padding += this.#left - wanted;
    this.#left = wanted;
    this.#begin({ ...entry, sparse }, true);
  }

  #begin(entry: TarEntry, hasData: boolean): void {
    this.#sink.entry(entry);
    this.#pending = entry;
    this.#fileOffset = 0;
    if (hasData && this.#left > 0) {
      this.#state = "data";
      return;
    }
    this.#padding += this.#left;
    this.#endMember();
  }

  #endMember(): void {
    this.#sink.end();
    this.#pending = undefined;
    this.#left = this.#padding;
    this.#state = this.#left > 0 ? "skip" : "header";
  }

  #skip(size: number, offset: number): void {
    this.#left = size + ((blockBytes - (size % blockBytes)) % blockBytes);
    if (!Number.isSafeInteger(this.#left)) malformed("a size that is no number", offset);
    this.#state = this.#left > 0 ? "skip" : "header";
  }

  #takeData(bytes: Buffer, at: number): number {
    let taken = Math.min(this.#left, bytes.length - at);
    let to = this.#fileOffset;
    if (this.#pending!.sparse) {
      const extent = this.#extents[this.#extentIndex]!;
      taken = Math.min(taken, extent.sizeBytes - this.#extentDone);
      to = extent.offset + this.#extentDone;
      this.#extentDone += taken;
      if (this.#extentDone === extent.sizeBytes) {
        this.#extentIndex++;
        this.#extentDone = 0;
      }
    }
    this.#sink.data(bytes.subarray(at, at + taken), to);
    this.#fileOffset += taken;
    this.#left -= taken;
    if (this.#left === 0) this.#endMember();
    return at + taken;
  }

  #beginMeta(flag: string, size: number, offset: number): void {
    const pax = flag === "x" || flag === "X" || flag === "g";
    const limit = pax ? this.#limits.paxBytes : this.#limits.pathBytes + 1;
    if (size > limit)
      excessive(`${pax ? "extended header" : "long name"} of ${size} bytes, more than ${limit}`, offset);
    this.#metaFlag = flag;
    this.#metaOffset = offset;
    this.#meta = Buffer.allocUnsafe(size);
    this.#metaFill = 0;
    this.#left = size;
    this.#padding = (blockBytes - (size % blockBytes)) % blockBytes;
    this.#state = "meta";
    if (size === 0) this.#onMeta();
  }

  #takeMeta(bytes: Buffer, at: number): number {
    const taken = Math.min(this.#left, bytes.length - at);
    bytes.copy(this.#meta, this.#metaFill, at, at + taken);
    this.#metaFill += taken;
    this.#left -= taken;
    if (this.#left === 0) this.#onMeta();
    return at + taken;
  }

  #onMeta(): void {
    const name = () => textField(this.#meta, 0, this.#meta.length);
    switch (this.#metaFlag) {
      case "g":
        this.#global ??= {};
        readPaxRecords(this.#meta, this.#global, this.#limits, this.#metaOffset, true);
        break;
      case "L":
        this.#longName = name();
        break;
      case "K":
        this.#longLink = name();
        break;
      default:
        // a second one before the same member replaces the first (Go)
        this.#own = {};
        readPaxRecords(this.#meta, this.#own, this.#limits, this.#metaOffset, false);
    }
    this.#left = this.#padding;
    this.#state = this.#left > 0 ? "skip" : "header";
  }
}
