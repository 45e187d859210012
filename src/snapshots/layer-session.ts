/**
 * One executor that unpacks: takes batches of layer steps, several under way at a time, and fails with
 * the first step that failed. Disposing ends the executor and waits until it can touch nothing more.
 */
import { type ErrorCode, GantryError } from "../base/error.ts";
import { Dialogue } from "../launch/dialogue.ts";
import { decodeFailure } from "../launch/report.ts";
import { errnoName, errnoWords } from "../linux/errno.ts";
import { replies, stageNumbers } from "../plan/protocol.ts";
import { LayerBatch, type LayerOperands, type LayerOperation } from "./layer-batch.ts";

/** Batches that may be under way: one that runs, one in the socket, one that waits. */
const inFlightLimit = 3;

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
  #batch = new LayerBatch();
  readonly #sent: LayerBatch[] = [];
  readonly #free: LayerBatch[] = [];
  #error: unknown;
  #ended = false;
  #wake: (() => void) | undefined;

  /** `what` begins the message of a failure ("apply layer sha256:…"). */
  constructor(executor: string, what: string) {
    this.#what = what;
    this.#dialogue = new Dialogue({ executor, mode: "layers" });
    void this.#receive();
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const frame = await this.#dialogue.next();
        if (frame === undefined) break;
        if (frame.type === replies.failed) this.#error ??= this.#failure(frame.payload);
        if (frame.type === replies.done) this.#recycle(this.#sent.shift());
        this.#wake?.();
      }
      if (this.#sent.length > 0)
        this.#error ??= new GantryError("unavailable", `${this.#what}: the executor ended without a report`);
    } catch (error) {
      this.#error ??= error;
    }
    this.#ended = true;
    this.#wake?.();
  }

  #recycle(batch: LayerBatch | undefined): void {
    if (!batch) return;
    batch.clear();
    this.#free.push(batch);
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

  /** The batch that takes further steps; call `flushIfFull` before adding one. */
  get batch(): LayerBatch {
    return this.#batch;
  }

  add<N extends LayerOperation>(name: N, operands: LayerOperands<N>): void {
    this.flushIfFull();
    this.#batch.add(name, operands);
  }

  flushIfFull(): void {
    if (this.#batch.room <= 0) this.flush();
  }

  /** Sends the batch. Nothing is sent any more after a failure, which `ready` and `finish` throw. */
  flush(): void {
    if (this.#batch.isEmpty) return;
    if (this.#error !== undefined || this.#ended) {
      this.#batch.clear();
      return;
    }
    this.#sent.push(this.#batch);
    if (this.#dialogue.socket.writable) this.#dialogue.socket.write(this.#batch.frame());
    this.#batch = this.#free.pop() ?? new LayerBatch();
  }

  /** Ends the work with an error of the caller's, an abort reason for one. */
  fail(error: unknown): void {
    this.#error ??= error;
    this.#wake?.();
  }

  /** Undefined if more can be added at once, else what to wait for. */
  ready(): Promise<void> | undefined {
    if (this.#error !== undefined) throw this.#error;
    return this.#sent.length < inFlightLimit ? undefined : this.#until(inFlightLimit - 1);
  }

  /** Resolves when everything added has been done. */
  async finish(): Promise<void> {
    this.flush();
    await this.#until(0);
  }

  async #until(limit: number): Promise<void> {
    while (this.#sent.length > limit || this.#error !== undefined) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) throw new GantryError("unavailable", `${this.#what}: the executor has ended`);
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
    const exited = this.#dialogue.pid === undefined ? undefined : this.#dialogue.exited();
    this.#dialogue.close();
    await exited;
  }
}
