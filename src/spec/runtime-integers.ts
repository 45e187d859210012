/**
 * 64-bit integers of runtime configs. JSON.parse rounds beyond 2^53, which would corrupt the masks of
 * seccomp rules, so such documents are parsed with bigint for what a number cannot hold.
 */
import { type Decoder, refuse } from "../base/decode.ts";

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const uint64Max = 2n ** 64n - 1n;

function exact(value: unknown, pointer: string, min: bigint, max: bigint): number | bigint {
  if (typeof value === "number" ? !Number.isInteger(value) : typeof value !== "bigint")
    refuse(
      pointer,
      `expected an integer, found ${value === null ? "null" : typeof value === "number" ? value : typeof value}`,
    );
  const integer = value as number | bigint;
  if (integer < min || integer > max) refuse(pointer, `${integer} is out of range (${min} to ${max})`);
  return integer;
}

/** uint64, exact: a number up to 2^53, a bigint above. */
export const uint64: Decoder<number | bigint> = (value, pointer) => exact(value, pointer, 0n, uint64Max);

/** What no kernel limit tells from "no limit" is cut to the largest exact number. */
function clamp(value: number | bigint): number {
  const limit = Number.MAX_SAFE_INTEGER;
  return value > limit ? limit : value < -limit ? -limit : Number(value);
}

/** uint64 where the last digits of huge values do not matter (limits). */
export const uint64Limit: Decoder<number> = (value, pointer) => clamp(uint64(value, pointer));

/** int64 where the last digits of huge values do not matter (limits; -1 is often "no limit"). */
export const int64Limit: Decoder<number> = (value, pointer) =>
  clamp(exact(value, pointer, int64.min, int64.max));

/** JSON.parse that yields a bigint for each integer that a number cannot hold exactly. */
export function parseExactJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const revive = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context!.source!)
      : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

/** The opposite of parseExactJson: a bigint becomes a plain JSON number. */
export function exactJson(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch (error) {
    // a bigint somewhere: rare, and looking at every member from here costs ten times as much
    if (!(error instanceof TypeError)) throw error;
  }
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  return JSON.stringify(
    value,
    (_key, entry: unknown) => (typeof entry === "bigint" ? rawJSON(String(entry)) : entry),
    indent,
  );
}
