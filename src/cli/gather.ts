/**
 * Gathers what a command prints in many small pieces, and writes it in few: whatever comes before the program waits for
 * something is one write. The order of the two streams stays.
 */
import type { Output } from "./output.ts";

const mostBytes = 64 * 1024;
type Stream = "out" | "err";

export class Gather {
  readonly #output: Pick<Output, Stream>;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #stream: Stream = "out";
  #due: NodeJS.Immediate | undefined;

  constructor(output: Pick<Output, Stream>) {
    this.#output = output;
  }

  write(stream: Stream, piece: Uint8Array): void {
    if (stream !== this.#stream || this.#bytes + piece.length > mostBytes) this.flush();
    this.#stream = stream;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    this.#due ??= setImmediate(() => this.flush());
  }

  /** Writes what there is. */
  flush(): void {
    if (this.#due) clearImmediate(this.#due);
    this.#due = undefined;
    if (this.#bytes === 0) return;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    this.#output[this.#stream](pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
  }
}
