import assert from "node:assert/strict";
import test from "node:test";
import { GantryError, isGantryError } from "../base/error.ts";
import { defaultRetryPolicy, delayMs, parseRetryAfter, type RetryPolicy, withRetry } from "./retry.ts";

const quick: RetryPolicy = { attempts: 4, baseMs: 1, maxMs: 4 };
const transient = () => new GantryError("unavailable", "try again", { detail: { transient: true } });

test("Retry-After is seconds or a date, never negative and never for long", () => {
  const now = Date.parse("2024-01-01T00:00:00Z");
  assert.equal(parseRetryAfter("3", now), 3000);
  assert.equal(parseRetryAfter("Mon, 01 Jan 2024 00:00:05 GMT", now), 5000);
  assert.equal(parseRetryAfter("Sun, 31 Dec 2023 00:00:00 GMT", now), 0);
  assert.equal(parseRetryAfter("999999", now), 60_000);
  assert.equal(parseRetryAfter("soon", now), undefined);
  assert.equal(parseRetryAfter(undefined, now), undefined);
});

test("waits double up to the limit, with jitter in the upper half", () => {
  for (let attempt = 0; attempt < 10; attempt++) {
    const full = Math.min(defaultRetryPolicy.maxMs, defaultRetryPolicy.baseMs * 2 ** attempt);
    const wait = delayMs(defaultRetryPolicy, attempt, undefined);
    assert.ok(wait >= full / 2 && wait <= full, `${wait} for ${full}`);
  }
  assert.ok(delayMs(defaultRetryPolicy, 0, 7000) >= 7000);
});

test("a call is repeated until it succeeds", async () => {
  let calls = 0;
  const result = await withRetry(quick, undefined, async () => {
    if (++calls < 3) throw transient();
    return "done";
  });
  assert.deepEqual([result, calls], ["done", 3]);
});

test("it gives up after the last attempt, and at once on what is not transient", async () => {
  let calls = 0;
  const failing = (error: () => unknown) => async () => {
    calls++;
    throw error();
  };
  await assert.rejects(withRetry(quick, undefined, failing(transient)), (error) =>
    isGantryError(error, "unavailable"),
  );
  assert.equal(calls, 4);
  await assert.rejects(
    withRetry(
      quick,
      undefined,
      failing(() => new GantryError("not-found", "gone")),
    ),
    /gone/,
  );
  assert.equal(calls, 5);
});

test("an abort ends the wait with its reason", async () => {
  const abort = new AbortController();
  const reason = new Error("enough");
  const pending = withRetry({ attempts: 2, baseMs: 60_000, maxMs: 60_000 }, abort.signal, async () => {
    throw transient();
  });
  setTimeout(() => abort.abort(reason), 5);
  await assert.rejects(pending, reason);
});
