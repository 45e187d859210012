/**
 * What a container prints, for the program that started it: an async iterable of bytes with `text()` and `lines()`.
 *
 * Whoever reads gets back-pressure: the container waits while nobody takes its output. As long as nobody has begun
 * to read, a bounded amount is kept; what goes beyond is dropped, and a reader that begins after that gets an error
 * instead of a text with a hole. (The log has it all.)
 */
import { GantryError } from "../../base/error.ts";

const unreadLimitBytes = 16 * 1024 * 1024;
/** A reader that is slower than the container has this much waiting for it before the container waits. */
const highWaterBytes = 256 * 1024;

export class OutputStream implements AsyncIterable<Uint8Array> {
  readonly #name: string;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #droppedBytes = 0;
  #reading = false;
  #ended = false;
  #error: unknown;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** Whether its reader is so slow that the container waits. */
  get full(): boolean {
    return this.#reading && this.#bytes > highWaterBytes && !this.#ended;
  }

  /** For the side that receives the output: resolves when more may come. */
  async push(chunk: Uint8Array): Promise<void> {
    if (this.#ended) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#wakeReader?.();
    if (this.#reading) {
      while (this.full)
        await new Promise<void>((resolve) => {
          this.#wakeWriter = resolve;
        });
      return;
    }
    while (this.#bytes > unreadLimitBytes) {
      const dropped = this.#chunks.shift()!.length;
      this.#bytes -= dropped;
      this.#droppedBytes += dropped;
    }
  }

  /** No more output; with `error` the reader fails at the end. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    return this.#read(
      () => this.#chunks.shift()!,
      ({ length }) => length,
    );
  }

  /** All that is there, each time: for who passes it on. */
  batches(): AsyncGenerator<readonly Uint8Array[]> {
    return this.#read(
      () => this.#chunks.splice(0),
      (chunks) => chunks.reduce((sum, { length }) => sum + length, 0),
    );
  }

  async *#read<T>(take: () => T, bytesOf: (taken: T) => number): AsyncGenerator<T> {
    if (this.#reading)
      throw new GantryError("failed-precondition", `read ${this.#name}: it is already being read`);
    if (this.#droppedBytes > 0)
      throw new GantryError(
        "resource-exhausted",
        `read ${this.#name}: ${this.#droppedBytes} bytes were dropped because nobody read them; read while the container runs, or use logs()`,
        { detail: { droppedBytes: this.#droppedBytes } },
      );
    this.#reading = true;
    try {
      for (;;) {
        if (this.#chunks.length > 0) {
          const taken = take();
          this.#bytes -= bytesOf(taken);
          this.#wakeWriter?.();
          yield taken;
          continue;
        }
        if (this.#ended) {
          if (this.#error !== undefined) throw this.#error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    } finally {
      // a reader that leaves early lets the container go on: the rest counts as unread
      this.#reading = false;
      this.#wakeWriter?.();
    }
  }

  /** All of it as text. */
  async text(): Promise<string> {
    return Buffer.from(await this.bytes()).toString("utf8");
  }

  /** All of it as JSON. */
  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async bytes(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** Line by line, without the newlines. */
  async *lines(): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop()!;
      yield* parts;
    }
    rest += decoder.decode();
    if (rest !== "") yield rest;
  }
}
