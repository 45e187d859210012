/**
 * Decoders for foreign JSON: a value goes in, a typed value comes out or an invalid-argument error
 * that names the place by JSON pointer (RFC 6901). Unknown members of objects are kept out of the
 * result and never refused, as the OCI specifications demand.
 */
import { GantryError } from "./error.ts";

/** Decodes `value`, which stands at `pointer` of the document. */
export type Decoder<T> = (value: unknown, pointer: string) => T;

/** What a decoder is made of, for who lists the members of a document. Scalars have no parts. */
export type Parts =
  | { readonly kind: "object"; readonly members: Readonly<Record<string, Decoder<unknown>>> }
  | { readonly kind: "each"; readonly of: Decoder<unknown> };

type Composed<T> = Decoder<T> & { readonly parts: () => Parts };

export function partsOf(decoder: Decoder<unknown>): Parts | undefined {
  return (decoder as Partial<Composed<unknown>>).parts?.();
}

function composed<T>(decoder: Decoder<T>, parts: () => Parts): Decoder<T> {
  return Object.assign(decoder, { parts });
}

/** A decoder that looks once more at what `decoder` has made. */
export function checked<T>(decoder: Decoder<T>, check: (value: T, pointer: string) => void): Decoder<T> {
  return composed(
    (value, pointer) => {
      const result = decoder(value, pointer);
      check(result, pointer);
      return result;
    },
    () => partsOf(decoder) ?? { kind: "object", members: {} },
  );
}

export type Decoded<D> = D extends Decoder<infer T> ? T : never;

/** Fails the decoding at `pointer`. */
export function refuse(
  pointer: string,
  message: string,
  detail: Readonly<Record<string, unknown>> = {},
): never {
  throw new GantryError("invalid-argument", `${pointer === "" ? "/" : pointer}: ${message}`, {
    detail: { pointer, ...detail },
  });
}

/** One step deeper: escapes `~` and `/` of a member name. */
export function at(pointer: string, key: string | number): string {
  // made for every value that is decoded, and nearly none needs an escape
  if (typeof key === "number" || !/[~/]/.test(key)) return `${pointer}/${key}`;
  return `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}

export const string: Decoder<string> = (value, pointer) => {
  if (typeof value !== "string") refuse(pointer, `expected a string, found ${kindOf(value)}`);
  if (value.includes("\0")) refuse(pointer, "a string must not hold a NUL character");
  return value;
};

export const boolean: Decoder<boolean> = (value, pointer) =>
  typeof value === "boolean" ? value : refuse(pointer, `expected true or false, found ${kindOf(value)}`);

/** An integer within [min, max]; the default range is that of exact numbers. */
export function integer(min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): Decoder<number> {
  return (value, pointer) => {
    if (typeof value !== "number" || !Number.isInteger(value))
      refuse(pointer, `expected an integer, found ${typeof value === "number" ? value : kindOf(value)}`);
    // int64 limits written by other programs lose their last digits in JSON.parse: clamp, do not refuse
    if (value > Number.MAX_SAFE_INTEGER && value <= 2 ** 64 && max === Number.MAX_SAFE_INTEGER) return max;
    if (value < min || value > max) refuse(pointer, `${value} is out of range (${min} to ${max})`);
    return value;
  };
}

export const uint32 = integer(0, 0xffffffff);

/** A string that matches `pattern`; `what` names the form in the error. */
export function pattern(pattern: RegExp, what: string): Decoder<string> {
  return (value, pointer) => {
    const text = string(value, pointer);
    return pattern.test(text)
      ? text
      : refuse(pointer, `${JSON.stringify(text.slice(0, 200))} is not ${what}`);
  };
}

export function oneOf<const T extends string>(...values: readonly T[]): Decoder<T> {
  return (value, pointer) => {
    const text = string(value, pointer);
    return values.includes(text as T)
      ? (text as T)
      : refuse(pointer, `${JSON.stringify(text.slice(0, 200))} is not one of ${values.join(", ")}`);
  };
}

/** An array of at most `limit` items; null counts as empty, since Go programs write it so. */
export function array<T>(item: Decoder<T>, limit = 100_000): Decoder<readonly T[]> {
  const decode: Decoder<readonly T[]> = (value, pointer) => {
    if (value === null) return [];
    if (!Array.isArray(value)) refuse(pointer, `expected an array, found ${kindOf(value)}`);
    if (value.length > limit) refuse(pointer, `${value.length} items are more than the limit of ${limit}`);
    return value.map((entry, index) => item(entry, at(pointer, index)));
  };
  return composed(decode, () => ({ kind: "each", of: item }));
}

/** An object used as a map; null counts as empty. */
export function record<T>(item: Decoder<T>, limit = 100_000): Decoder<Readonly<Record<string, T>>> {
  const decode: Decoder<Readonly<Record<string, T>>> = (value, pointer) => {
    if (value === null) return {};
    if (typeof value !== "object" || Array.isArray(value))
      refuse(pointer, `expected an object, found ${kindOf(value)}`);
    const entries = Object.entries(value as object);
    if (entries.length > limit)
      refuse(pointer, `${entries.length} members are more than the limit of ${limit}`);
    return Object.fromEntries(entries.map(([key, entry]) => [key, item(entry, at(pointer, key))]));
  };
  return composed(decode, () => ({ kind: "each", of: item }));
}

interface Optional<T> {
  readonly optional: Decoder<T>;
}

/** Marks a member of `object` that may be absent or null. */
export function optional<T>(decoder: Decoder<T>): Optional<T> {
  return { optional: decoder };
}

type Shape = Readonly<Record<string, Decoder<unknown> | Optional<unknown>>>;

type ObjectOf<S extends Shape> = {
  readonly [K in keyof S as S[K] extends Optional<unknown> ? never : K]: Decoded<S[K]>;
} & {
  readonly [K in keyof S as S[K] extends Optional<unknown> ? K : never]?: S[K] extends Optional<infer T>
    ? T
    : never;
};

/** An object with the named members. */
export function object<const S extends Shape>(shape: S): Decoder<ObjectOf<S>> {
  const members = Object.entries(shape);
  const decode: Decoder<ObjectOf<S>> = (value, pointer) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      refuse(pointer, `expected an object, found ${kindOf(value)}`);
    const result: Record<string, unknown> = {};
    for (const [key, decoder] of members) {
      const entry = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
      if (typeof decoder === "function") {
        if (entry === undefined) refuse(at(pointer, key), "is required");
        result[key] = decoder(entry, at(pointer, key));
      } else if (entry !== undefined && entry !== null) {
        result[key] = decoder.optional(entry, at(pointer, key));
      }
    }
    return result as ObjectOf<S>;
  };
  return composed(decode, () => ({
    kind: "object",
    members: Object.fromEntries(
      members.map(([key, decoder]) => [key, typeof decoder === "function" ? decoder : decoder.optional]),
    ),
  }));
}

/**
 * Parses JSON text of at most `limitBytes` and decodes it. `what` names the document in errors
 * ("image manifest", "config.json"). `parse` replaces JSON.parse where numbers must stay exact.
 */
export function decodeJson<T>(
  text: string | Uint8Array,
  decoder: Decoder<T>,
  what: string,
  limitBytes = 4 * 1024 * 1024,
  parse: (text: string) => unknown = JSON.parse,
): T {
  const size = typeof text === "string" ? Buffer.byteLength(text) : text.length;
  if (size > limitBytes)
    throw new GantryError(
      "resource-exhausted",
      `parse ${what}: ${size} bytes are more than the limit of ${limitBytes}`,
    );
  let value: unknown;
  try {
    value = parse(typeof text === "string" ? text : new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch (error) {
    throw new GantryError("invalid-argument", `parse ${what}: ${(error as Error).message}`, { cause: error });
  }
  try {
    return decoder(value, "");
  } catch (error) {
    if (!(error instanceof GantryError)) throw error;
    throw new GantryError(error.code, `parse ${what}: ${error.message}`, {
      detail: error.detail,
      cause: error,
    });
  }
}
