/** One request to the embedded registry and its answer: sending documents, blobs and errors. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { GantryError, isGantryError } from "../base/error.ts";

/** Error codes of the distribution specification, with the status they go with. */
const statusOf = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  DENIED: 403,
  UNSUPPORTED: 405,
  RANGE_INVALID: 416,
  UNKNOWN: 500,
} as const;

export type RegistryErrorCode = keyof typeof statusOf;

/** Thrown by handlers; becomes the error document. */
export class RegistryRefusal extends Error {
  readonly code: RegistryErrorCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: RegistryErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** Aborted when the client goes or the server closes. */
  readonly signal: AbortSignal;

  constructor(request: IncomingMessage, response: ServerResponse, signal: AbortSignal) {
    this.request = request;
    this.response = response;
    // only path and query count; what stands in Host decides nothing
    this.url = new URL(request.url ?? "/", "http://registry");
    this.signal = signal;
  }

  get isHead(): boolean {
    return this.request.method === "HEAD";
  }

  empty(status: number, headers: Readonly<Record<string, string>> = {}): void {
    this.response.writeHead(status, { "content-length": "0", ...headers });
    this.response.end();
  }

  bytes(status: number, bytes: Uint8Array, headers: Readonly<Record<string, string>>): void {
    this.response.writeHead(status, { "content-length": String(bytes.length), ...headers });
    this.response.end(this.isHead ? undefined : bytes);
  }

  json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.bytes(status, Buffer.from(JSON.stringify(value)), {
      "content-type": "application/json",
      ...headers,
    });
  }

  /** Sends at the pace of the client. */
  async stream(
    status: number,
    source: AsyncIterable<Uint8Array>,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    this.response.writeHead(status, { ...headers });
    for await (const chunk of source) {
      this.signal.throwIfAborted();
      if (!this.response.write(chunk)) await this.#drained();
    }
    this.response.end();
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => resolve();
    this.response.once("drain", done);
    this.signal.addEventListener("abort", done, { once: true });
    await promise;
    this.response.off("drain", done);
    this.signal.removeEventListener("abort", done);
    this.signal.throwIfAborted();
  }

  /** The request's body; fails when the client breaks off. */
  async *body(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of this.request as AsyncIterable<Uint8Array>) yield chunk;
    if (!this.request.complete)
      throw new GantryError("unavailable", "read request body: the client broke off");
  }

  async readBody(limitBytes: number): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.body()) {
      sizeBytes += chunk.length;
      if (sizeBytes > limitBytes) throw new RegistryRefusal("SIZE_INVALID", `more than ${limitBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** Ends the exchange with the error, or cuts the connection when the answer has begun. */
  fail(error: unknown): void {
    if (this.response.headersSent) {
      this.response.destroy();
      return;
    }
    const refusal = refusalFrom(error);
    // an unread body would be taken for the next request
    if (!this.request.complete) this.response.setHeader("connection", "close");
    this.json(
      statusOf[refusal.code],
      { errors: [{ code: refusal.code, message: refusal.message }] },
      refusal.headers,
    );
    if (!this.request.complete) this.request.resume();
  }
}

function refusalFrom(error: unknown): RegistryRefusal {
  if (error instanceof RegistryRefusal) return error;
  if (isGantryError(error, "data-loss")) return new RegistryRefusal("DIGEST_INVALID", error.message);
  if (isGantryError(error, "invalid-argument")) return new RegistryRefusal("MANIFEST_INVALID", error.message);
  if (isGantryError(error)) return new RegistryRefusal("UNKNOWN", error.message);
  return new RegistryRefusal("UNKNOWN", "internal error");
}
