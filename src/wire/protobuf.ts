/**
 * Protocol buffers, the writing half: as much as rpc.proto of criu needs, which knows numbers, truth values, texts and
 * messages in messages (https://protobuf.dev/programming-guides/encoding).
 */

/** A number is a varint, a text or bytes (an encoded message) are length-delimited. */
export type FieldValue = number | boolean | string | Uint8Array;

/** Number of a field and its value; a field without one is left out, a repeated one comes several times. */
export type Field = readonly [number: number, value: FieldValue | undefined];

const wireTypes = { varint: 0, bytes: 2 } as const;

function pushVarint(out: number[], value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`a varint of ${value}`);
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
}

export function encodeMessage(fields: readonly Field[]): Uint8Array {
  const out: number[] = [];
  for (const [number, value] of fields) {
    if (value === undefined) continue;
    const scalar = typeof value === "number" || typeof value === "boolean";
    pushVarint(out, number * 8 + (scalar ? wireTypes.varint : wireTypes.bytes));
    if (scalar) {
      pushVarint(out, Number(value));
      continue;
    }
    const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
    pushVarint(out, bytes.length);
    for (const byte of bytes) out.push(byte);
  }
  return Uint8Array.from(out);
}
