/** Files of one JSON document each, written atomically and read whole. */
import { readFileSync } from "node:fs";
import { type Decoder, decodeJson, pattern } from "./decode.ts";
import { errnoOf, wrapErrno } from "./error.ts";

/** A time as our records hold it, RFC 3339. */
export const recordTime = pattern(/^\d{4}-\d\d-\d\dT/, "a time");

export interface RecordForm<T> {
  readonly decoder: Decoder<T>;
  /** "container record"; for errors. */
  readonly what: string;
  readonly limitBytes: number;
}

/** Undefined if there is none. */
export function readRecordFile<T>(path: string, form: RecordForm<T>): T | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw wrapErrno(error, `read ${form.what}`, path);
  }
  return decodeJson(bytes, form.decoder, `${form.what} "${path}"`, form.limitBytes);
}
