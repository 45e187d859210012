/**
 * Answers the challenges of one registry: Basic, and Bearer tokens of the distribution token
 * specification (docs/spec/auth/token.md and oauth.md), kept per scope until they expire.
 */
import { decodeJson, integer, object, optional, string } from "../base/decode.ts";
import { GantryError } from "../base/error.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { errorFromResponse } from "./errors.ts";
import { isLoopback } from "./hosts.ts";
import { type HttpResponse, type HttpTransport, readBody } from "./http-transport.ts";

const tokenShape = object({
  token: optional(string),
  access_token: optional(string),
  expires_in: optional(integer(0)),
});

const tokenLimitBytes = 1024 * 1024;
/** token.md: what has no expires_in lives this long. */
const defaultLifetimeS = 60;
const clientId = "gantry";

interface Grant {
  readonly header: string;
  readonly expiresMs: number;
}

/** `repository:<path>:<actions>` */
export function repositoryScope(path: string, actions: "pull" | "pull,push"): string {
  return `repository:${path}:${actions}`;
}

export interface AuthorizerOptions {
  readonly transport: HttpTransport;
  readonly credentials: (signal: AbortSignal | undefined) => Promise<Credentials | undefined>;
  /** Credentials may go over plain HTTP to this registry and its token server. */
  readonly insecure: boolean;
}

export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #grants = new Map<string, Promise<Grant>>();
  #credentials: Promise<Credentials | undefined> | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** What is known to work for `scope`, without asking anybody. */
  async known(scope: string): Promise<string | undefined> {
    const grant = await this.#grants.get(scope)?.catch(() => undefined);
    return grant && grant.expiresMs > Date.now() ? grant.header : undefined;
  }

  /**
   * The Authorization header that answers a 401, or undefined if there is none to give. `refused` is
   * the header that was sent before and did not help.
   */
  async answer(
    response: HttpResponse,
    scope: string,
    refused: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const current = await this.known(scope);
    // another request has meanwhile got a new one
    if (current !== undefined && current !== refused) return current;
    const challenges = parseChallenges(response.headers["www-authenticate"] ?? "");
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const basic = challenges.find(({ scheme }) => scheme === "basic");
    if (!bearer && !basic) return undefined;
    const pending = bearer
      ? this.#bearer(bearer, scope, response.url, signal)
      : this.#basic(response.url, signal);
    this.#grants.set(scope, pending);
    try {
      const { header } = await pending;
      return header === refused ? undefined : header;
    } catch (error) {
      this.#grants.delete(scope);
      throw error;
    }
  }

  async #stored(signal: AbortSignal | undefined): Promise<Credentials | undefined> {
    this.#credentials ??= this.#options.credentials(signal).catch((error: unknown) => {
      this.#credentials = undefined;
      throw error;
    });
    return await this.#credentials;
  }

  #refusePlain(url: URL, what: string): void {
    if (url.protocol === "https:" || this.#options.insecure || isLoopback(url.host)) return;
    throw new GantryError(
      "failed-precondition",
      `${what} "${url.origin}": credentials are not sent over plain http`,
      {
        detail: { url: url.origin },
      },
    );
  }

  async #basic(url: URL, signal: AbortSignal | undefined): Promise<Grant> {
    const credentials = await this.#stored(signal);
    if (credentials?.kind !== "password")
      throw new GantryError(
        "unauthenticated",
        `log in to "${url.host}": it wants a user name and a password, and none are stored`,
        {
          detail: { host: url.host },
        },
      );
    this.#refusePlain(url, "log in to");
    return {
      header: basicHeader(credentials.username, credentials.password),
      expiresMs: Number.POSITIVE_INFINITY,
    };
  }

  async #bearer(
    challenge: Challenge,
    ownScope: string,
    registry: URL,
    signal: AbortSignal | undefined,
  ): Promise<Grant> {
    const { realm, service, scope = ownScope } = challenge.parameters;
    const url = realm !== undefined && URL.canParse(realm) ? new URL(realm) : undefined;
    if (!url || !/^https?:$/.test(url.protocol))
      throw new GantryError(
        "unauthenticated",
        `log in to "${registry.host}": the registry names no usable token server`,
      );
    // a plain token server of an encrypted registry would give the token to whoever listens
    if (url.protocol === "http:" && registry.protocol === "https:") this.#refusePlain(url, "get token from");
    const credentials = await this.#stored(signal);
    const what = `get token from "${url.host}"`;
    const asked = Date.now();
    const parameters = new URLSearchParams();
    if (service) parameters.set("service", service);
    for (const one of scope.split(" ").filter(Boolean)) parameters.append("scope", one);
    let response: HttpResponse;
    const common = signal ? { signal } : {};
    if (credentials?.kind === "identity-token") {
      this.#refusePlain(url, "log in to");
      parameters.set("grant_type", "refresh_token");
      parameters.set("client_id", clientId);
      parameters.set("scope", scope);
      parameters.set("refresh_token", credentials.token);
      response = await this.#options.transport.send({
        method: "POST",
        url,
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: Buffer.from(parameters.toString()),
        ...common,
      });
    } else {
      if (credentials) {
        this.#refusePlain(url, "log in to");
        parameters.set("account", credentials.username);
      }
      for (const [key, value] of parameters) url.searchParams.append(key, value);
      const headers: Record<string, string> = credentials
        ? { authorization: basicHeader(credentials.username, credentials.password) }
        : {};
      response = await this.#options.transport.send({ method: "GET", url, headers, ...common });
    }
    if (response.status !== 200) throw await errorFromResponse(response, what);
    const answer = decodeJson(
      await readBody(response, tokenLimitBytes, "token"),
      tokenShape,
      "token answer",
      tokenLimitBytes,
    );
    const token = answer.token || answer.access_token;
    if (!token || /[^\x21-\x7e]/.test(token))
      throw new GantryError("unauthenticated", `${what}: the answer has no token`);
    // 10 % and at least a second early: the clock of the registry decides
    const lifetimeS = Math.max(answer.expires_in ?? defaultLifetimeS, defaultLifetimeS);
    return { header: `Bearer ${token}`, expiresMs: asked + lifetimeS * 900 - 1000 };
  }
}

function basicHeader(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
