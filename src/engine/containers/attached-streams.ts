/** The streams of a process over one attachment: what it prints as two streams to read, its stdin to write to. */
import { GantryError } from "../../base/error.ts";
import type { ExitRecord } from "../../tasks/records.ts";
import type { Attachment } from "../../tasks/task.ts";
import { OutputStream } from "./output-stream.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

/** The stdin of a process. */
export interface ContainerInput {
  /** Resolves when more is welcome. */
  write(data: Uint8Array | string, options?: Cancellable): Promise<void>;
  /** End of file. */
  end(options?: Cancellable): Promise<void>;
}

export class AttachedStreams implements AsyncDisposable {
  readonly stdout = new OutputStream("stdout");
  readonly stderr = new OutputStream("stderr");
  #attachment: Attachment | undefined;
  /** Resolves when all output is handed over. */
  readonly #pumped: Promise<void>;
  /** Resolves when a slow reader holds the output up, and with it the word of the end. */
  readonly #stalled: Promise<void>;
  #ended = false;

  /** Without an attachment there is nothing to read. */
  constructor(attachment: Attachment | undefined) {
    this.#attachment = attachment;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#stalled = promise;
    this.#pumped = this.#pump(attachment, resolve);
  }

  async #pump(attachment: Attachment | undefined, stall: () => void): Promise<void> {
    try {
      for await (const { stream, bytes } of attachment?.output ?? []) {
        const reader = stream === "stdout" ? this.stdout : this.stderr;
        const taken = reader.push(bytes);
        if (reader.full) stall();
        await taken;
      }
      this.stdout.end();
      this.stderr.end();
    } catch (error) {
      this.stdout.end(error);
      this.stderr.end(error);
    } finally {
      this.#ended = true;
    }
  }

  /** Whether there is a connection over which the process may still print. */
  get attached(): boolean {
    return this.#attachment !== undefined && !this.#ended;
  }

  /** `name` of the process, for who writes to one that this program is not attached to. */
  stdin(name: string): ContainerInput {
    const attachment = () => {
      if (this.#attachment) return this.#attachment;
      throw new GantryError("failed-precondition", `write to "${name}": this program is not attached to it`);
    };
    return {
      write: async (data, options) =>
        await attachment().write(typeof data === "string" ? Buffer.from(data) : data, options),
      end: async (options) => await attachment().endStdin(options),
    };
  }

  /** What the attachment tells at the end of the output; undefined if it does not, or the output stands still. */
  async exitBehindOutput(signal: AbortSignal | undefined): Promise<ExitRecord | undefined> {
    if (!this.#attachment) return undefined;
    const { promise: aborted, resolve: abort } = Promise.withResolvers<void>();
    signal?.addEventListener("abort", abort as () => void, { once: true });
    try {
      signal?.throwIfAborted();
      await Promise.race([this.#pumped, this.#stalled, aborted]);
      signal?.throwIfAborted();
      return this.#attachment?.exit();
    } finally {
      signal?.removeEventListener("abort", abort as () => void);
    }
  }

  /** Resolves when all output is handed over, or the connection is closed. */
  get over(): Promise<void> {
    return this.#pumped;
  }

  /** Closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#attachment?.[Symbol.asyncDispose]();
    this.#attachment = undefined;
    await this.#pumped;
  }
}
