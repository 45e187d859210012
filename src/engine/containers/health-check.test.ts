import assert from "node:assert/strict";
import test from "node:test";
import { afterProbe, type Health, healthCheckOf, noProbeYet, untilNextProbe } from "./health-check.ts";

const startedAt = "2026-01-01T00:00:00.000Z";
const at = (ms: number) => new Date(Date.parse(startedAt) + ms).toISOString();
const probe = (exitCode: number, ms: number) => ({ start: at(ms), end: at(ms + 1), exitCode, output: "" });

test("options come before the image, and both before docker's defaults", () => {
  const image = { Test: ["CMD-SHELL", "curl localhost"], Interval: 5e9, Retries: 7 };
  assert.deepEqual(healthCheckOf(undefined, image), {
    command: ["/bin/sh", "-c", "curl localhost"],
    intervalMs: 5000,
    timeoutMs: 30_000,
    startPeriodMs: 0,
    startIntervalMs: 5000,
    retries: 7,
  });
  const own = healthCheckOf({ command: "true", retries: 1, timeoutMs: 10 }, image);
  assert.deepEqual(
    [own?.command, own?.intervalMs, own?.retries, own?.timeoutMs],
    [["/bin/sh", "-c", "true"], 5000, 1, 10],
  );
  assert.deepEqual(healthCheckOf(undefined, { Test: ["CMD", "a", "b"] })?.command, ["a", "b"]);
  assert.deepEqual(healthCheckOf(undefined, { Test: ["CMD-SHELL", "x"] }, ["/bin/bash", "-c"])?.command, [
    "/bin/bash",
    "-c",
    "x",
  ]);
});

test("nothing is checked where nobody asks for it, or somebody asks for nothing", () => {
  assert.equal(healthCheckOf(undefined, undefined), undefined);
  assert.equal(healthCheckOf({ intervalMs: 5 }, undefined), undefined);
  assert.equal(healthCheckOf({ none: true }, { Test: ["CMD", "true"] }), undefined);
  assert.equal(healthCheckOf(undefined, { Test: ["NONE"] }), undefined);
  assert.throws(() => healthCheckOf(undefined, { Test: ["WHAT"] }), /Unknown healthcheck type WHAT/);
});

test("as many failures in a row as there are retries make it unhealthy, one success healthy", () => {
  const check = healthCheckOf({ command: "x", retries: 2 }, undefined)!;
  const after = (codes: readonly number[]) =>
    codes.reduce<Health>((state, code, i) => afterProbe(check, state, startedAt, probe(code, i)), noProbeYet);
  assert.deepEqual([after([1]).status, after([1]).failingStreak], ["starting", 1]);
  assert.equal(after([1, 1]).status, "unhealthy");
  assert.equal(after([1, 0]).status, "healthy");
  assert.equal(after([0, 1]).status, "healthy");
  assert.equal(after([0, 1, -1]).status, "unhealthy");
  assert.equal(after([0, 1, -1, 0]).failingStreak, 0);
  assert.equal(after([1, 1, 1, 1, 1, 1, 1]).log.length, 5);
});

test("failures of the start period do not count, until it is over or a probe has succeeded", () => {
  const check = healthCheckOf(
    { command: "x", retries: 1, startPeriodMs: 1000, startIntervalMs: 50 },
    undefined,
  )!;
  const early = afterProbe(check, noProbeYet, startedAt, probe(1, 500));
  assert.deepEqual([early.status, early.failingStreak, early.log.length], ["starting", 0, 1]);
  assert.equal(afterProbe(check, early, startedAt, probe(1, 1000)).status, "unhealthy");
  const well = afterProbe(check, noProbeYet, startedAt, probe(0, 100));
  assert.equal(afterProbe(check, well, startedAt, probe(1, 200)).status, "unhealthy");
  assert.equal(untilNextProbe(check, early, startedAt, Date.parse(at(500))), 50);
  assert.equal(untilNextProbe(check, early, startedAt, Date.parse(at(1500))), 30_000);
  assert.equal(untilNextProbe(check, well, startedAt, Date.parse(at(500))), 30_000);
});
