/**
 * One executor that unpacks: takes batches of layer steps, several under way at a time, and fails with
 * the first step that failed. Disposing ends the executor and waits until it can touch nothing more.
 */
import { bug, type ErrorCode, GantryError, wrapErrno } from "../base/error.ts";
import { Dialogue } from "../launch/dialogue.ts";
import { decodeFailure } from "../launch/report.ts";
import { errnoName, errnoWords } from "../linux/errno.ts";
import { replies, stageNumbers } from "../plan/protocol.ts";
import { LayerBatch, type LayerOperands, type LayerOperation } from "./layer-batch.ts";
import { type Spool, spoolBytes } from "./spool.ts";

/** Batches that may be under way. */
const inFlightLimit = 16;
/** File data after which a batch is sent though it has few steps: a fraction of the ring. */
const dataTarget = 512 * 1024;

const codeOf: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "resource-exhausted",
  EDQUOT: "resource-exhausted",
  EFBIG: "resource-exhausted",
  ENOMEM: "resource-exhausted",
  EMFILE: "resource-exhausted",
  EMLINK: "resource-exhausted",
  EPERM: "permission-denied",
  EACCES: "permission-denied",
  EROFS: "failed-precondition",
  ENAMETOOLONG: "invalid-argument",
  ENOTDIR: "invalid-argument",
  ELOOP: "invalid-argument",
  ENOENT: "invalid-argument",
  EINVAL: "invalid-argument",
};

export class LayerSession implements AsyncDisposable {
  readonly #dialogue: Dialogue;
  readonly #what: string;
  readonly #spool: Spool | undefined;
  #batch = new LayerBatch();
  /** Batches under way, each with the spool position that its end frees. */
  readonly #sent: { readonly batch: LayerBatch; readonly position: number }[] = [];
  readonly #free: LayerBatch[] = [];
  /** Spool positions: before the chunk that is being parsed; and the same when a batch was last sent. */
  #parsed = 0;
  #flushed = 0;
  #error: unknown;
  #ended = false;
  #wake: (() => void) | undefined;

  /**
   * `what` begins the message of a failure ("apply layer sha256:…"). A session that writes files needs a
   * spool, which it disposes.
   */
  constructor(executor: string, what: string, spool?: Spool) {
    this.#what = what;
    this.#spool = spool;
    try {
      this.#dialogue = new Dialogue({ executor, mode: "layers", ...(spool ? { stdio: [spool.fd] } : {}) });
    } catch (error) {
      spool?.[Symbol.dispose]();
      throw wrapErrno(error, "start executor", executor);
    }
    void this.#receive();
    if (spool) this.add("layer-spool", { bytes: spoolBytes });
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const frame = await this.#dialogue.next();
        if (frame === undefined) break;
        if (frame.type === replies.failed) this.#error ??= this.#failure(frame.payload);
        if (frame.type === replies.done) this.#done();
        this.#wake?.();
      }
      if (this.#sent.length > 0) this.#error ??= this.#gone();
    } catch (error) {
      this.#error ??= error;
    }
    this.#ended = true;
    this.#wake?.();
  }

  #gone(): GantryError {
    return new GantryError("unavailable", `${this.#what}: the executor ended without a report`);
  }

  #done(): void {
    const sent = this.#sent.shift();
    if (!sent) return;
    this.#spool?.free(sent.position);
    sent.batch.clear();
    this.#free.push(sent.batch);
  }

  #failure(payload: Uint8Array): GantryError {
    const report = decodeFailure(payload);
    if (report.stage === stageNumbers.check)
      return new GantryError(
        "internal",
        `${this.#what}: the executor refused step ${report.step}: ${report.detail}`,
      );
    const errno = errnoName(report.errno);
    return new GantryError(
      (errno && codeOf[errno]) || "internal",
      `${this.#what}: ${JSON.stringify(report.detail)}: ${errnoWords(report.errno)}`,
      { detail: { errno, path: report.detail } },
    );
  }

  add<N extends LayerOperation>(name: N, operands: LayerOperands<N>): void {
    if (this.#batch.isFull) this.flush();
    this.#batch.add(name, operands);
  }

  /** Hands a chunk of the archive to the executor, for the steps that follow; gives its offset in the spool. */
  spool(chunk: Uint8Array): number {
    const spool = this.#spool ?? bug("layer session without a spool");
    this.#parsed = spool.position;
    return spool.write(chunk);
  }

  /** The open file goes on with a piece of the spool, which stands at `offset` in it. */
  append(offset: number, from: number, length: number): void {
    if (!this.#batch.extend(from, length)) this.add("layer-append", { offset, more: 1, from, length });
  }

  /** All of the open file is there; `offset` is its end so far. */
  endFile(offset: number): void {
    if (this.#batch.isOpenFile) this.#batch.endFile();
    else this.add("layer-append", { offset, more: 0, from: 0, length: 0 });
  }

  /** Sends the batch. Nothing is sent any more after a failure, which `ready` and `finish` throw. */
  flush(): void {
    if (this.#batch.isEmpty) return;
    if (this.#ended) this.#error ??= this.#gone();
    if (this.#error !== undefined) {
      this.#batch.clear();
      return;
    }
    this.#sent.push({ batch: this.#batch, position: this.#parsed });
    this.#flushed = this.#parsed;
    if (this.#dialogue.socket.writable) this.#dialogue.socket.write(this.#batch.frame());
    this.#batch = this.#free.pop() ?? new LayerBatch();
  }

  /** Ends the work with an error of the caller's, an abort reason for one. */
  fail(error: unknown): void {
    this.#error ??= error;
    this.#wake?.();
  }

  /** To be called between chunks: all steps of the last one have been added. Undefined if a chunk of `length` bytes and its steps can be added at once, else what to wait for. */
  ready(length: number): Promise<void> | undefined {
    if (this.#error !== undefined) throw this.#error;
    const spool = this.#spool;
    this.#parsed = spool?.position ?? 0;
    if (this.#parsed - this.#flushed >= dataTarget) this.flush();
    const room = () => {
      // what passed without a step, such as bytes after the archive's end, nobody will report as done
      if (this.#sent.length === 0 && this.#batch.isEmpty) spool?.free(this.#parsed);
      return this.#sent.length < inFlightLimit && (spool?.hasRoom(length) ?? true);
    };
    if (room()) return undefined;
    this.flush();
    return this.#until(room);
  }

  /** Resolves when everything added has been done. */
  async finish(): Promise<void> {
    this.flush();
    await this.#until(() => this.#sent.length === 0);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (this.#error !== undefined || !condition()) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) throw this.#gone();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  /** Sends what was added and lets the executor finish it alone, also when this program ends. */
  release(): void {
    this.flush();
    this.#dialogue.finish();
    this.#dialogue.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#dialogue.pid !== undefined) {
      const exited = this.#dialogue.exited();
      this.#dialogue.socket.destroy();
      await exited;
    }
    this.#dialogue.close();
    this.#spool?.[Symbol.dispose]();
  }
}
