/** Routes of the embedded registry for blobs: reading with ranges, uploading in one or several pieces. */
import { randomUUID } from "node:crypto";
import type { ContentStore, Ingest } from "../content/content-store.ts";
import { isDigest } from "../spec/digest.ts";
import { type Exchange, RegistryRefusal } from "./server-exchange.ts";

/** Uploads that their client forgot. */
const uploadLifetimeMs = 3600_000;
const uploadLimit = 1000;

interface Upload {
  readonly path: string;
  readonly ingest: Ingest;
  lastUse: number;
  busy: boolean;
}

/** `bytes=first-last` or `bytes=first-`; other forms are answered with the whole (RFC 9110, 14.2 allows it). */
function parseRange(
  header: string | undefined,
  sizeBytes: number,
): { first: number; end: number } | undefined {
  const match = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header ?? "");
  if (!match) return undefined;
  const first = Number(match[1]);
  const end = Math.min(match[2] === undefined ? sizeBytes : Number(match[2]) + 1, sizeBytes);
  if (first >= end)
    throw new RegistryRefusal("RANGE_INVALID", "no such bytes", { "content-range": `bytes */${sizeBytes}` });
  return { first, end };
}

async function* take(
  source: AsyncIterable<Uint8Array>,
  count: number,
): AsyncGenerator<Uint8Array, void, void> {
  let left = count;
  for await (const chunk of source) {
    yield left < chunk.length ? chunk.subarray(0, left) : chunk;
    left -= chunk.length;
    if (left <= 0) return;
  }
}

export class BlobRoutes implements AsyncDisposable {
  readonly #content: ContentStore;
  readonly #uploads = new Map<string, Upload>();

  constructor(content: ContentStore) {
    this.#content = content;
  }

  async get(exchange: Exchange, digest: string): Promise<void> {
    if (!isDigest(digest)) throw new RegistryRefusal("DIGEST_INVALID", "not a digest");
    const info = await this.#content.info(digest);
    if (!info) throw new RegistryRefusal("BLOB_UNKNOWN", `no blob ${digest}`);
    const { sizeBytes } = info;
    const range = parseRange(exchange.request.headers.range, sizeBytes);
    const { first, end } = range ?? { first: 0, end: sizeBytes };
    const headers = {
      "content-type": "application/octet-stream",
      "content-length": String(end - first),
      "docker-content-digest": digest,
      "accept-ranges": "bytes",
      etag: `"${digest}"`,
      ...(range ? { "content-range": `bytes ${first}-${end - 1}/${sizeBytes}` } : {}),
    };
    const status = range ? 206 : 200;
    if (exchange.isHead) {
      exchange.response.writeHead(status, headers);
      exchange.response.end();
      return;
    }
    const source = this.#content.read(digest, { offset: first, signal: exchange.signal });
    await exchange.stream(status, end < sizeBytes ? take(source, end - first) : source, headers);
  }

  async remove(exchange: Exchange, digest: string): Promise<void> {
    if (!isDigest(digest)) throw new RegistryRefusal("DIGEST_INVALID", "not a digest");
    if (!(await this.#content.remove(digest))) throw new RegistryRefusal("BLOB_UNKNOWN", `no blob ${digest}`);
    exchange.empty(202);
  }

  /** POST: a mount of a blob that is here, a whole blob, or the beginning of an upload. */
  async begin(exchange: Exchange, path: string): Promise<void> {
    const { searchParams } = exchange.url;
    // blobs are shared by all repositories, so every mount of a known blob succeeds
    const mount = searchParams.get("mount");
    if (mount !== null && isDigest(mount) && (await this.#content.info(mount)))
      return created(exchange, path, mount);
    await this.#expire();
    if (this.#uploads.size >= uploadLimit) throw new RegistryRefusal("UNKNOWN", "too many uploads at once");
    const upload: Upload = {
      path,
      ingest: await this.#content.ingestUnnamed(),
      lastUse: Date.now(),
      busy: false,
    };
    const digest = searchParams.get("digest");
    if (digest !== null) return await this.#finish(exchange, upload, path, digest);
    const id = randomUUID();
    this.#uploads.set(id, upload);
    accepted(exchange, path, id, upload, 202);
  }

  async append(exchange: Exchange, path: string, id: string): Promise<void> {
    const upload = this.#find(path, id);
    await this.#exclusively(upload, async () => {
      checkContentRange(exchange, upload, path, id);
      await this.#receive(exchange, upload);
    });
    accepted(exchange, path, id, upload, 202);
  }

  async end(exchange: Exchange, path: string, id: string): Promise<void> {
    const upload = this.#find(path, id);
    const digest = exchange.url.searchParams.get("digest");
    if (digest === null) throw new RegistryRefusal("DIGEST_INVALID", "the digest parameter is missing");
    await this.#exclusively(upload, async () => {
      if (exchange.request.headers["content-range"]) checkContentRange(exchange, upload, path, id);
      this.#uploads.delete(id);
      await this.#finish(exchange, upload, path, digest);
    });
  }

  status(exchange: Exchange, path: string, id: string): void {
    accepted(exchange, path, id, this.#find(path, id), 204);
  }

  async cancel(exchange: Exchange, path: string, id: string): Promise<void> {
    const upload = this.#find(path, id);
    this.#uploads.delete(id);
    await upload.ingest.discard();
    exchange.empty(204);
  }

  #find(path: string, id: string): Upload {
    const upload = this.#uploads.get(id);
    if (upload?.path !== path) throw new RegistryRefusal("BLOB_UPLOAD_UNKNOWN", "no such upload");
    return upload;
  }

  async #exclusively(upload: Upload, action: () => Promise<void>): Promise<void> {
    if (upload.busy)
      throw new RegistryRefusal("BLOB_UPLOAD_INVALID", "another request writes to this upload");
    upload.busy = true;
    try {
      await action();
    } finally {
      upload.busy = false;
      upload.lastUse = Date.now();
    }
  }

  async #receive(exchange: Exchange, upload: Upload): Promise<void> {
    for await (const chunk of exchange.body()) await upload.ingest.write(chunk);
  }

  async #finish(exchange: Exchange, upload: Upload, path: string, digest: string): Promise<void> {
    try {
      if (!isDigest(digest)) throw new RegistryRefusal("DIGEST_INVALID", "not a digest");
      await this.#receive(exchange, upload);
      await upload.ingest.commit({ digest });
    } catch (error) {
      await upload.ingest.discard();
      throw error;
    }
    created(exchange, path, digest);
  }

  async #expire(): Promise<void> {
    const limit = Date.now() - uploadLifetimeMs;
    for (const [id, upload] of this.#uploads) {
      if (upload.busy || upload.lastUse > limit) continue;
      this.#uploads.delete(id);
      await upload.ingest.discard();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const upload of this.#uploads.values()) await upload.ingest.discard();
    this.#uploads.clear();
  }
}

function created(exchange: Exchange, path: string, digest: string): void {
  exchange.empty(201, { location: `/v2/${path}/blobs/${digest}`, "docker-content-digest": digest });
}

function accepted(exchange: Exchange, path: string, id: string, upload: Upload, status: 202 | 204): void {
  const { offset } = upload.ingest;
  exchange.empty(status, {
    location: `/v2/${path}/blobs/uploads/${id}`,
    range: `0-${Math.max(0, offset - 1)}`,
    "docker-upload-uuid": id,
  });
}

/** Chunks come in order (distribution-spec, "Pushing a blob in chunks"). */
function checkContentRange(exchange: Exchange, upload: Upload, path: string, id: string): void {
  const header = exchange.request.headers["content-range"];
  if (header === undefined) return;
  const first = /^(?:bytes )?(\d{1,15})-\d{1,15}(?:\/.*)?$/.exec(header)?.[1];
  if (first !== undefined && Number(first) === upload.ingest.offset) return;
  throw new RegistryRefusal("RANGE_INVALID", `the upload goes on at byte ${upload.ingest.offset}`, {
    location: `/v2/${path}/blobs/uploads/${id}`,
    range: `0-${Math.max(0, upload.ingest.offset - 1)}`,
  });
}
