/**
 * Content digests (`sha256:…`): parsing, computing, and checking bytes in passing.
 * Accepts the two algorithms registered by the OCI image specification (descriptor.md, "Digests").
 */
import type { Hash } from "node:crypto";
import { type Decoder, refuse, string } from "../base/decode.ts";
import { GantryError } from "../base/error.ts";

// loaded when something is hashed: a command that only starts containers would wait for it longer than for all else
const createHash = (algorithm: string): Hash => process.getBuiltinModule("node:crypto").createHash(algorithm);

declare const digestBrand: unique symbol;

/** `algorithm:lower-case-hex`, checked. */
export type Digest = string & { readonly [digestBrand]: true };

export type DigestAlgorithm = "sha256" | "sha512";

const form = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: string): text is Digest {
  return form.test(text);
}

/** Parses a digest or throws invalid-argument. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new GantryError(
    "invalid-argument",
    `parse digest "${text.slice(0, 200)}": not sha256:<64 hex digits> or sha512:<128 hex digits>`,
  );
}

export const digest: Decoder<Digest> = (value, pointer) => {
  const text = string(value, pointer);
  return isDigest(text)
    ? text
    : refuse(pointer, `${JSON.stringify(text.slice(0, 200))} is not a supported digest`);
};

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** The part after the colon. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** The digest of bytes that are in memory. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}` as Digest;
}

/** The data-loss error of content that has another digest than its name says. */
export function wrongDigest(what: string, digest: Digest, found: Digest): GantryError {
  return new GantryError("data-loss", `verify ${what} "${digest}": the content has digest ${found}`, {
    detail: { digest, found },
  });
}

const webNames = { sha256: "SHA-256", sha512: "SHA-512" } as const;

/** Bun's own, which needs no module (bun.com/docs/api/hashing). */
interface BunHasher {
  update(bytes: Uint8Array | string): BunHasher;
  digest(encoding: "hex"): string;
}

const bun = (globalThis as { readonly Bun?: { CryptoHasher: new (algorithm: string) => BunHasher } }).Bun;

/**
 * The digest of a small document on the way to a container start: not by node:crypto, since loading that would take longer
 * than the whole start. Web Crypto, where Bun is not, hashes in a thread of its own.
 */
export async function smallDigestOf(
  bytes: Uint8Array | string,
  algorithm: DigestAlgorithm = "sha256",
): Promise<Digest> {
  if (bun) return `${algorithm}:${new bun.CryptoHasher(algorithm).update(bytes).digest("hex")}` as Digest;
  const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  const hash = await crypto.subtle.digest(webNames[algorithm], data as Uint8Array<ArrayBuffer>);
  return `${algorithm}:${Buffer.from(hash).toString("hex")}` as Digest;
}

/** Hashes and counts bytes as they pass; ends with `digest()` or `verify()`, once. */
export class Digester {
  readonly algorithm: DigestAlgorithm;
  #hash: Hash;
  #sizeBytes = 0;

  constructor(algorithm: DigestAlgorithm = "sha256") {
    this.algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#sizeBytes += chunk.length;
  }

  digest(): Digest {
    return `${this.algorithm}:${this.#hash.digest("hex")}` as Digest;
  }

  /** Throws data-loss unless exactly the expected bytes have passed. */
  verify(expected: { readonly digest: Digest; readonly size?: number }, what: string): void {
    if (expected.size !== undefined && this.#sizeBytes !== expected.size)
      throw new GantryError(
        "data-loss",
        `verify ${what} "${expected.digest}": ${this.#sizeBytes} bytes, expected ${expected.size}`,
        {
          detail: { digest: expected.digest, sizeBytes: this.#sizeBytes, expectedBytes: expected.size },
        },
      );
    const found = this.digest();
    if (found !== expected.digest) throw wrongDigest(what, expected.digest, found);
  }
}

/** Passes `source` through; throws data-loss at its end, or as soon as it is too long, if it is not `expected`. */
export async function* verifyStream(
  source: AsyncIterable<Uint8Array>,
  expected: { readonly digest: Digest; readonly size?: number },
  what: string,
): AsyncGenerator<Uint8Array, void, void> {
  const digester = new Digester(digestAlgorithm(expected.digest));
  for await (const chunk of source) {
    digester.update(chunk);
    if (expected.size !== undefined && digester.sizeBytes > expected.size)
      throw new GantryError(
        "data-loss",
        `verify ${what} "${expected.digest}": longer than the expected ${expected.size} bytes`,
        {
          detail: { digest: expected.digest, expectedBytes: expected.size },
        },
      );
    yield chunk;
  }
  digester.verify(expected, what);
}
