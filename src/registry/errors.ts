/** Answers of a registry that are no success, as errors (distribution-spec, "Error Codes"). */
import { array, type Decoded, decodeJson, object, optional, string } from "../base/decode.ts";
import { type ErrorCode, GantryError } from "../base/error.ts";
import { type HttpResponse, readBody } from "./http-transport.ts";
import { parseRetryAfter } from "./retry.ts";

const errorBody = object({
  errors: array(object({ code: optional(string), message: optional(string) }), 100),
});

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  400: "invalid-argument",
  401: "unauthenticated",
  403: "permission-denied",
  404: "not-found",
  405: "unimplemented",
  406: "unimplemented",
  408: "unavailable",
  413: "resource-exhausted",
  416: "invalid-argument",
  429: "resource-exhausted",
};

const errorBodyLimitBytes = 64 * 1024;

async function registryErrors(response: HttpResponse): Promise<Decoded<typeof errorBody>["errors"]> {
  try {
    return decodeJson(
      await readBody(response, errorBodyLimitBytes, "error answer"),
      errorBody,
      "error answer",
    ).errors;
  } catch {
    // proxies and load balancers answer in HTML; the status says enough
    return [];
  }
}

/** The error for a response that is no success; reads its body. `what` is "verb object". */
export async function errorFromResponse(response: HttpResponse, what: string): Promise<GantryError> {
  const { status, url } = response;
  const [first] = await registryErrors(response);
  const words = [first?.code?.toLowerCase().replaceAll("_", " "), first?.message].filter(
    (word, index, all) =>
      word && all.findIndex((other) => other?.toLowerCase() === word.toLowerCase()) === index,
  );
  const reason =
    words.length > 0 ? `${words.join(": ")} (HTTP ${status})` : `the registry answered HTTP ${status}`;
  const transient = status === 408 || status === 429 || status >= 500;
  const retryAfterMs = transient ? parseRetryAfter(response.headers["retry-after"], Date.now()) : undefined;
  const code = codeOfStatus[status] ?? (status >= 500 ? "unavailable" : "failed-precondition");
  return new GantryError(code, `${what}: ${reason}`.slice(0, 2000), {
    detail: {
      status,
      host: url.host,
      ...(first?.code ? { registryCode: first.code } : {}),
      ...(transient ? { transient } : {}),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  });
}
