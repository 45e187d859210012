/**
 * One registry as the client sees it: finds its scheme, sends requests with authorization, follows
 * redirects without giving credentials away, tries again. Knows URLs and status codes, no documents.
 */
import { GantryError, isGantryError } from "../base/error.ts";
import { Authorizer } from "./authorizer.ts";
import type { Credentials } from "./credentials.ts";
import { errorFromResponse } from "./errors.ts";
import { isLoopback, registryHostOf } from "./hosts.ts";
import type { HttpRequest, HttpResponse, HttpTransport } from "./http-transport.ts";
import { type RetryPolicy, withRetry } from "./retry.ts";

const redirectLimit = 5;

export interface RegistryHostOptions {
  readonly domain: string;
  readonly transport: HttpTransport;
  /** The user said that this registry may be spoken to in plain HTTP or with any certificate. */
  readonly insecure: boolean;
  readonly credentials: (signal: AbortSignal | undefined) => Promise<Credentials | undefined>;
  readonly retry: RetryPolicy;
  readonly userAgent: string;
}

export interface RegistryRequest {
  readonly method: HttpRequest["method"];
  /** A path below /v2/, or the URL that the registry gave in Location. */
  readonly target: string | URL;
  /** For errors: "fetch manifest "busybox:latest"". */
  readonly what: string;
  readonly scope: string;
  /** Status codes that are a success. */
  readonly accept: readonly number[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Called again for each try. */
  readonly body?: () => Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

export class RegistryHost {
  readonly #options: RegistryHostOptions;
  readonly #authorizer: Authorizer;
  #base: Promise<URL> | undefined;

  constructor(options: RegistryHostOptions) {
    this.#options = options;
    this.#authorizer = new Authorizer({
      transport: options.transport,
      credentials: options.credentials,
      insecure: options.insecure,
    });
  }

  /** Sends with retries; any other status than those accepted is an error. */
  async send(request: RegistryRequest): Promise<HttpResponse> {
    return await withRetry(this.#options.retry, request.signal, () => this.sendOnce(request));
  }

  async sendOnce(request: RegistryRequest): Promise<HttpResponse> {
    const base = await this.#baseUrl(request.signal);
    const url = request.target instanceof URL ? request.target : new URL(`/v2/${request.target}`, base);
    const sameOrigin = url.origin === base.origin;
    const authorization = sameOrigin ? await this.#authorizer.known(request.scope) : undefined;
    let response = await this.#follow(url, request, authorization);
    if (response.status === 401 && response.url.origin === base.origin) {
      const answer = await this.#authorizer.answer(response, request.scope, authorization, request.signal);
      if (answer === undefined) throw await errorFromResponse(response, request.what);
      await response.discard();
      response = await this.#follow(url, request, answer);
    }
    if (request.accept.includes(response.status)) return response;
    throw await errorFromResponse(response, request.what);
  }

  async #follow(
    start: URL,
    request: RegistryRequest,
    authorization: string | undefined,
  ): Promise<HttpResponse> {
    let url = start;
    for (let hops = 0; ; hops++) {
      const body = request.body?.();
      const response = await this.#options.transport.send({
        method: request.method,
        url,
        headers: {
          "user-agent": this.#options.userAgent,
          ...request.headers,
          // what a registry may know, the storage behind it may not
          ...(authorization !== undefined && url.origin === start.origin ? { authorization } : {}),
        },
        ...(body === undefined ? {} : { body }),
        ...(request.signal ? { signal: request.signal } : {}),
      });
      const { location } = response.headers;
      const redirects = [301, 302, 303, 307, 308].includes(response.status) && location !== undefined;
      if (!redirects || (request.method !== "GET" && request.method !== "HEAD")) return response;
      await response.discard();
      if (hops >= redirectLimit)
        throw new GantryError("failed-precondition", `${request.what}: more than ${redirectLimit} redirects`);
      url = this.#redirected(url, location, request.what);
    }
  }

  #redirected(from: URL, location: string, what: string): URL {
    if (!URL.canParse(location, from))
      throw new GantryError("failed-precondition", `${what}: redirected to no URL`);
    const url = new URL(location, from);
    const downgrade = from.protocol === "https:" && url.protocol !== "https:";
    if (!/^https?:$/.test(url.protocol) || (downgrade && !this.#options.insecure))
      throw new GantryError(
        "failed-precondition",
        `${what}: redirected from ${from.protocol} to ${url.protocol}`,
        {
          detail: { url: url.origin },
        },
      );
    return url;
  }

  async #baseUrl(signal: AbortSignal | undefined): Promise<URL> {
    this.#base ??= this.#findBase(signal).catch((error: unknown) => {
      this.#base = undefined;
      throw error;
    });
    return await this.#base;
  }

  /** https, unless the host is loopback or called insecure, and does not speak it. */
  async #findBase(signal: AbortSignal | undefined): Promise<URL> {
    const host = registryHostOf(this.#options.domain);
    const secure = parseBase(`https://${host}`);
    if (!this.#options.insecure && !isLoopback(host)) return secure;
    try {
      const probe = await this.#options.transport.send({
        method: "GET",
        url: new URL("/v2/", secure),
        headers: { "user-agent": this.#options.userAgent },
        ...(signal ? { signal } : {}),
      });
      await probe.discard();
      return secure;
    } catch (error) {
      if (!isGantryError(error, "unavailable")) throw error;
      const { certificate, refused } = error.detail;
      if (certificate !== undefined) throw error;
      // a refused port may still be another one than http's default
      if (refused === true && /:\d+$/.test(host)) throw error;
      return parseBase(`http://${host}`);
    }
  }

  /** Resolves a Location header of this registry. */
  resolveLocation(response: HttpResponse, what: string): URL {
    const { location } = response.headers;
    if (location === undefined || !URL.canParse(location, response.url))
      throw new GantryError("failed-precondition", `${what}: the registry gave no usable Location`);
    return new URL(location, response.url);
  }
}

function parseBase(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new GantryError("invalid-argument", `connect to "${text}": not a host`);
}
