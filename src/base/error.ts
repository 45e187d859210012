/**
 * The one error class of Gantry and its closed set of codes.
 *
 * Codes are stable: programs may branch on them. Messages are for people: lower case, no full stop,
 * "verb object: reason". Each front door maps codes to its own world (exit status, HTTP status, gRPC
 * status) in one table of its own.
 */

/** The reason class of a failure; the names are gRPC's. */
export type ErrorCode =
  | "invalid-argument"
  | "not-found"
  | "already-exists"
  | "failed-precondition"
  | "permission-denied"
  | "unauthenticated"
  | "resource-exhausted"
  | "unavailable"
  | "data-loss"
  | "deadline-exceeded"
  | "aborted"
  | "canceled"
  | "unimplemented"
  | "internal";

/** Facts beside the message: plain data, printable as JSON (path, digest, step, errno, pointer, …). */
export type ErrorDetail = Readonly<Record<string, unknown>>;

export class GantryError extends Error {
  override readonly name = "GantryError";
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;

  constructor(code: ErrorCode, message: string, options: { detail?: ErrorDetail; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? {};
  }
}

/** Narrows to a GantryError, optionally one of a given code. */
export function isGantryError(error: unknown, code?: ErrorCode): error is GantryError {
  return error instanceof GantryError && (code === undefined || error.code === code);
}

/** Stops the program: a state that the code proves impossible was reached. */
export function bug(message: string): never {
  throw new Error(`bug in gantry: ${message}`);
}

const codeOfErrno: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not-found",
  EEXIST: "already-exists",
  EACCES: "permission-denied",
  EPERM: "permission-denied",
  EROFS: "failed-precondition",
  ENOSPC: "resource-exhausted",
  EDQUOT: "resource-exhausted",
  EMFILE: "resource-exhausted",
  ENFILE: "resource-exhausted",
  ENOMEM: "resource-exhausted",
  ECONNREFUSED: "unavailable",
  ECONNRESET: "unavailable",
  EPIPE: "unavailable",
  ETIMEDOUT: "unavailable",
  ENOTFOUND: "unavailable",
  EAI_AGAIN: "unavailable",
};

const words: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EEXIST: "file exists",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  ENOSPC: "no space left on device",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
};

/** The errno name ("ENOENT") of an error thrown by a node: module, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^E[A-Z0-9_]+$/.test(code) ? code : undefined;
}

/**
 * Wraps a failed system call: `wrapErrno(error, "read blob", path)` becomes
 * `read blob "/…": no such file or directory` with the code that fits the errno.
 * A GantryError and an abort reason pass through unchanged.
 */
export function wrapErrno(error: unknown, what: string, path?: string): unknown {
  if (error instanceof GantryError || (error as { name?: string } | null)?.name === "AbortError")
    return error;
  const errno = errnoOf(error);
  const reason = errno ? (words[errno] ?? errno) : error instanceof Error ? error.message : String(error);
  const object = path === undefined ? "" : ` "${path}"`;
  return new GantryError((errno && codeOfErrno[errno]) || "internal", `${what}${object}: ${reason}`, {
    detail: { ...(errno ? { errno } : {}), ...(path === undefined ? {} : { path }) },
    cause: error,
  });
}
