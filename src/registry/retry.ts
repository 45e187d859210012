/** Waiting and trying again: exponential back-off with jitter, and what a registry says in Retry-After. */
import { setTimeout as sleep } from "node:timers/promises";
import { isGantryError } from "../base/error.ts";

export interface RetryPolicy {
  /** Tries in all; moby's default is 5. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { attempts: 5, baseMs: 250, maxMs: 10_000 };

/** A registry may ask for more patience than this; nobody who waits has it. */
const retryAfterLimitMs = 60_000;

/** RFC 9110, 10.2.3: seconds or an HTTP date. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d{1,9}$/.test(value.trim()) ? Number(value) : undefined;
  const waitMs = seconds === undefined ? Date.parse(value) - nowMs : seconds * 1000;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), retryAfterLimitMs);
}

/** Between half and the whole of base·2^attempt, or what the registry asked for plus a little. */
export function delayMs(policy: RetryPolicy, attempt: number, retryAfterMs: number | undefined): number {
  if (retryAfterMs !== undefined) return retryAfterMs + Math.random() * policy.baseMs;
  const full = Math.min(policy.maxMs, policy.baseMs * 2 ** attempt);
  return full / 2 + (Math.random() * full) / 2;
}

/** Whether the failure may be gone at the next try; set by errors.ts and http-transport.ts. */
function isTransient(error: unknown): boolean {
  return isGantryError(error) && error.detail.transient === true;
}

/** Sleeps before try number `attempt` + 1; false when the policy has no more tries. */
export async function waitToRetry(
  policy: RetryPolicy,
  attempt: number,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (attempt + 1 >= policy.attempts || !isTransient(error)) return false;
  const asked = isGantryError(error) ? error.detail.retryAfterMs : undefined;
  try {
    await sleep(
      delayMs(policy, attempt, typeof asked === "number" ? asked : undefined),
      undefined,
      signal ? { signal } : {},
    );
  } catch {
    signal?.throwIfAborted();
  }
  return true;
}

/** Runs `call` until it succeeds, fails for good, or the policy gives up. */
export async function withRetry<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  call: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(await waitToRetry(policy, attempt, error, signal))) throw error;
    }
  }
}
