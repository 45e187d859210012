/**
 * Client of the OCI distribution protocol (distribution-spec 1.1): resolve, fetch, push, list tags.
 * Holds connections and tokens, one set per registry; dispose it to close them.
 */
import { array, decodeJson, object, optional, string } from "../base/decode.ts";
import { GantryError, isGantryError } from "../base/error.ts";
import type { Descriptor } from "../spec/descriptor.ts";
import { type Digest, digestAlgorithm, digestOf, parseDigest } from "../spec/digest.ts";
import { manifestLimitBytes } from "../spec/manifest.ts";
import { mediaTypes } from "../spec/media-types.ts";
import { familiarReference, type Reference, repositoryOf } from "../spec/reference.ts";
import { repositoryScope } from "./authorizer.ts";
import { fetchBlob } from "./blob-download.ts";
import type { CredentialSource } from "./credentials.ts";
import { certificatesFor, defaultCertificateFolders } from "./hosts.ts";
import { type HttpResponse, HttpTransport, readBody } from "./http-transport.ts";
import type { Registry, RegistryCall, ResolvedManifest } from "./registry.ts";
import { RegistryHost } from "./registry-host.ts";
import { defaultRetryPolicy, type RetryPolicy } from "./retry.ts";

export interface RegistryClientOptions {
  /** Asked when a registry wants to know who calls; without it, anonymous. */
  readonly credentials?: CredentialSource;
  /** Registries (`host:port`) that may speak plain HTTP or have any certificate. */
  readonly insecure?: readonly string[];
  /** Folders in the layout of docker's certs.d. */
  readonly certificateFolders?: readonly string[];
  readonly retry?: Partial<RetryPolicy>;
  readonly idleTimeoutMs?: number;
  readonly userAgent?: string;
}

const manifestAccept = [
  mediaTypes.ociIndex,
  mediaTypes.dockerIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
].join(", ");

const tagLimitBytes = 4 * 1024 * 1024;
const tagsShape = object({ tags: array(string, 100_000) });

export class RegistryClient implements Registry, Disposable {
  readonly #options: RegistryClientOptions;
  readonly #transport: HttpTransport;
  readonly #retry: RetryPolicy;
  readonly #hosts = new Map<string, RegistryHost>();

  constructor(options: RegistryClientOptions = {}) {
    this.#options = options;
    this.#retry = { ...defaultRetryPolicy, ...options.retry };
    const folders = options.certificateFolders ?? defaultCertificateFolders;
    this.#transport = new HttpTransport({
      tlsFor: (host) => ({ ...certificatesFor(host, folders), verify: !this.#isInsecure(host) }),
      ...(options.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: options.idleTimeoutMs }),
    });
  }

  #isInsecure(domain: string): boolean {
    return this.#options.insecure?.includes(domain) ?? false;
  }

  #host(reference: Reference): RegistryHost {
    const { domain } = reference;
    const known = this.#hosts.get(domain);
    if (known) return known;
    const host = new RegistryHost({
      domain,
      transport: this.#transport,
      insecure: this.#isInsecure(domain),
      credentials: async (signal) =>
        await this.#options.credentials?.(domain, {
          repository: repositoryOf(reference),
          ...(signal ? { signal } : {}),
        }),
      retry: this.#retry,
      userAgent: this.#options.userAgent ?? "gantry",
    });
    this.#hosts.set(domain, host);
    return host;
  }

  async resolve(reference: Reference, options: RegistryCall = {}): Promise<ResolvedManifest> {
    const what = `resolve "${familiarReference(reference)}"`;
    const common = {
      target: `${reference.path}/manifests/${reference.digest ?? reference.tag ?? "latest"}`,
      what,
      scope: repositoryScope(reference.path, "pull"),
      accept: [200],
      headers: { accept: manifestAccept },
      ...options,
    };
    const host = this.#host(reference);
    try {
      // HEAD does not count as a pull at registries that limit them
      const head = await host.send({ method: "HEAD", ...common });
      const descriptor = descriptorFromHead(head, reference.digest);
      if (descriptor) return { descriptor };
    } catch (error) {
      // the answer to HEAD has no body, so GET tells the reason; some registries do not know HEAD
      if (!isGantryError(error) || error.detail.status === undefined || error.detail.transient === true)
        throw error;
    }
    const response = await host.send({ method: "GET", ...common });
    const bytes = await readBody(response, manifestLimitBytes, `manifest "${familiarReference(reference)}"`);
    const stated = reference.digest ?? statedDigest(response);
    const digest = digestOf(bytes, stated ? digestAlgorithm(stated) : "sha256");
    checkDigest(digest, stated, what);
    return {
      descriptor: { mediaType: mediaTypeOf(response, bytes, what), digest, size: bytes.length },
      bytes,
    };
  }

  async fetchManifest(
    reference: Reference,
    descriptor: Descriptor,
    options: RegistryCall = {},
  ): Promise<Uint8Array> {
    const what = `fetch manifest "${familiarReference({ domain: reference.domain, path: reference.path, digest: descriptor.digest })}"`;
    const response = await this.#host(reference).send({
      method: "GET",
      target: `${reference.path}/manifests/${descriptor.digest}`,
      what,
      scope: repositoryScope(reference.path, "pull"),
      accept: [200],
      headers: { accept: [descriptor.mediaType, manifestAccept].join(", ") },
      ...options,
    });
    const bytes = await readBody(response, Math.min(descriptor.size, manifestLimitBytes), "manifest");
    checkDigest(digestOf(bytes, digestAlgorithm(descriptor.digest)), descriptor.digest, what);
    return bytes;
  }

  fetchBlob(
    reference: Reference,
    descriptor: Descriptor,
    options: RegistryCall & { readonly offset?: number } = {},
  ): AsyncIterable<Uint8Array> {
    return fetchBlob(this.#host(reference), this.#retry, reference, descriptor, options);
  }

  /** Uploads a blob in one piece unless the registry has it; `source` is called for each try. */
  async pushBlob(
    reference: Reference,
    blob: { readonly digest: Digest; readonly size: number },
    source: () => AsyncIterable<Uint8Array>,
    options: RegistryCall = {},
  ): Promise<{ readonly uploaded: boolean }> {
    const host = this.#host(reference);
    const scope = repositoryScope(reference.path, "pull,push");
    const what = `push blob "${blob.digest}"`;
    const head = await host.send({
      method: "HEAD",
      target: `${reference.path}/blobs/${blob.digest}`,
      what,
      scope,
      accept: [200, 404],
      ...options,
    });
    if (head.status === 200) return { uploaded: false };
    const started = await host.send({
      method: "POST",
      target: `${reference.path}/blobs/uploads/`,
      what,
      scope,
      accept: [202],
      headers: { "content-length": "0" },
      ...options,
    });
    await started.discard();
    const location = host.resolveLocation(started, what);
    location.searchParams.set("digest", blob.digest);
    const done = await host.send({
      method: "PUT",
      target: location,
      what,
      scope,
      accept: [201],
      headers: { "content-type": "application/octet-stream", "content-length": String(blob.size) },
      body: source,
      ...options,
    });
    await done.discard();
    return { uploaded: true };
  }

  /** Uploads a manifest or an index under the reference's tag, or under its digest without one. */
  async pushManifest(
    reference: Reference,
    mediaType: string,
    bytes: Uint8Array,
    options: RegistryCall = {},
  ): Promise<Descriptor> {
    const digest = digestOf(bytes);
    const what = `push manifest "${familiarReference(reference)}"`;
    const response = await this.#host(reference).send({
      method: "PUT",
      target: `${reference.path}/manifests/${reference.tag ?? digest}`,
      what,
      scope: repositoryScope(reference.path, "pull,push"),
      accept: [200, 201],
      headers: { "content-type": mediaType },
      body: () => bytes,
      ...options,
    });
    await response.discard();
    checkDigest(digest, statedDigest(response), what);
    return { mediaType, digest, size: bytes.length };
  }

  /** All tags of a repository, page by page. */
  async *tags(reference: Reference, options: RegistryCall = {}): AsyncGenerator<string, void, void> {
    const host = this.#host(reference);
    let target: string | URL | undefined = `${reference.path}/tags/list`;
    const seen = new Set<string>();
    while (target !== undefined) {
      const response: HttpResponse = await host.send({
        method: "GET",
        target,
        what: `list tags of "${repositoryOf(reference)}"`,
        scope: repositoryScope(reference.path, "pull"),
        accept: [200],
        ...options,
      });
      const { tags } = decodeJson(await readBody(response, tagLimitBytes, "tags"), tagsShape, "tags");
      yield* tags;
      target = nextPage(response);
      // a registry that sends us round in circles
      if (target instanceof URL && (seen.has(target.href) || seen.size > 10_000)) return;
      if (target instanceof URL) seen.add(target.href);
    }
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }
}

/** RFC 8288: `</v2/x/tags/list?last=…>; rel="next"`; pages of another origin are not followed. */
function nextPage(response: HttpResponse): URL | undefined {
  const link = response.headers.link;
  const match = /<([^<>]{1,4096})>\s*;[^,]*\brel="?next"?/.exec(
    Array.isArray(link) ? link.join(", ") : (link ?? ""),
  );
  if (!match?.[1] || !URL.canParse(match[1], response.url)) return undefined;
  const url = new URL(match[1], response.url);
  return url.origin === response.url.origin ? url : undefined;
}

function statedDigest(response: HttpResponse): Digest | undefined {
  const stated = response.headers["docker-content-digest"];
  return typeof stated === "string" ? parseDigest(stated) : undefined;
}

function contentTypeOf(response: HttpResponse): string | undefined {
  return response.headers["content-type"]?.split(";")[0]?.trim();
}

const knownTypes: ReadonlySet<string> = new Set([
  ...manifestAccept.split(", "),
  mediaTypes.dockerSchema1,
  mediaTypes.dockerSchema1Signed,
]);

const outline = object({
  mediaType: optional(string),
  manifests: optional(present),
  layers: optional(present),
});

function present(): true {
  return true;
}

/** The Content-Type, or, where a plain file server says only application/json, what the document says itself. */
function mediaTypeOf(response: HttpResponse, bytes: Uint8Array, what: string): string {
  const stated = contentTypeOf(response);
  if (stated !== undefined && knownTypes.has(stated)) return stated;
  const { mediaType, manifests, layers } = decodeJson(bytes, outline, "manifest", manifestLimitBytes);
  if (mediaType) return mediaType;
  if (manifests) return mediaTypes.ociIndex;
  if (layers) return mediaTypes.ociManifest;
  throw new GantryError(
    "failed-precondition",
    `${what}: the registry sent ${stated ?? "a document"} that is no manifest`,
  );
}

/** What HEAD tells, if it tells all. */
function descriptorFromHead(response: HttpResponse, wanted: Digest | undefined): Descriptor | undefined {
  const stated = statedDigest(response);
  const mediaType = contentTypeOf(response);
  const length = response.headers["content-length"];
  const size = length !== undefined && /^\d{1,12}$/.test(length) ? Number(length) : 0;
  if (!stated || !mediaType || !knownTypes.has(mediaType) || size === 0 || size > manifestLimitBytes)
    return undefined;
  checkDigest(stated, wanted, "resolve");
  return { mediaType, digest: stated, size };
}

function checkDigest(found: Digest, expected: Digest | undefined, what: string): void {
  if (expected !== undefined && found !== expected)
    throw new GantryError("data-loss", `${what}: the registry sent ${found}, not ${expected}`, {
      detail: { digest: expected, found },
    });
}
