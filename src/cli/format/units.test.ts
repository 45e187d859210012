import assert from "node:assert/strict";
import test from "node:test";
import {
  ago,
  createdAt,
  humanDuration,
  humanMemory,
  humanSize,
  parseDuration,
  parseMemory,
  parseNanoTime,
  parseTime,
} from "./units.ts";

test("sizes have three significant digits and decimal units", () => {
  assert.deepEqual([0, 999, 1000, 4262144, 77_900_000, 1.2345e9].map(humanSize), [
    ...["0B", "999B", "1kB", "4.26MB", "77.9MB", "1.23GB"],
  ]);
  assert.equal(humanMemory(25_221_455_872), "23.49GiB");
});

test("memory options take powers of 1024 and every spelling of the suffix", () => {
  assert.deepEqual(
    ["100", "100b", "4k", "100m", "100MB", "1.5g", "2GiB", "1 g"].map(parseMemory),
    [100, 100, 4096, 104857600, 104857600, 1610612736, 2147483648, 1073741824],
  );
  assert.throws(() => parseMemory("5x"), /^Error: invalid suffix: 'x'$/);
  assert.throws(() => parseMemory("-5m"), /invalid size/);
  assert.throws(() => parseMemory(""), /invalid size/);
  assert.throws(() => parseMemory("9999999p"), /too large/);
});

test("durations are rounded as docker rounds them", () => {
  const seconds = [
    0.4, 1, 59, 60, 119, 120, 3599, 3600, 7199, 7200, 172_799, 172_800, 1_209_600, 5_184_000, 94_608_000,
  ];
  assert.deepEqual(
    seconds.map((value) => humanDuration(value * 1000)),
    [
      ...["Less than a second", "1 second", "59 seconds", "About a minute", "About a minute", "2 minutes"],
      ...[
        "59 minutes",
        "About an hour",
        "2 hours",
        "2 hours",
        "2 days",
        "2 days",
        "2 weeks",
        "2 months",
        "3 years",
      ],
    ],
  );
  assert.equal(ago("2026-01-01T00:00:00Z", new Date("2026-01-01T00:05:00Z")), "5 minutes ago");
  assert.equal(createdAt("2026-01-01T00:00:00.123456789Z"), "2026-01-01 00:00:00 +0000 UTC");
});

test("Go durations are parsed, anything else is refused", () => {
  assert.deepEqual(["1h30m", "1.5s", "10ms", "0"].map(parseDuration), [5_400_000, 1500, 10, 0]);
  for (const bad of ["", "5", "m5", "5 m", "-1s"])
    assert.throws(() => parseDuration(bad), /invalid duration/, bad);
});

test("a time is a duration back, seconds since 1970, or a date", () => {
  const now = new Date("2026-01-01T01:00:00Z");
  assert.equal(parseTime("10m", now).toISOString(), "2026-01-01T00:50:00.000Z");
  assert.equal(parseTime("1767225600.5", now).toISOString(), "2026-01-01T00:00:00.500Z");
  assert.equal(parseTime("2026-01-01T00:00:00.123456789Z").toISOString(), "2026-01-01T00:00:00.123Z");
  assert.equal(parseTime("2026-01-01T00:00:00+01:00").toISOString(), "2025-12-31T23:00:00.000Z");
  assert.equal(parseTime("2026-01-01").getTime(), new Date(2026, 0, 1).getTime());
  assert.throws(() => parseTime("yesterday"), /failed to parse value as time or duration: "yesterday"/);
});

test("times are exact to the nanosecond where they are given so", () => {
  assert.equal(parseNanoTime("1970-01-01T00:00:01.000000002Z"), 1_000_000_002n);
  assert.equal(parseNanoTime("1970-01-01T00:00:01.1234567Z"), 1_123_456_700n);
  assert.equal(parseNanoTime("1970-01-01T00:00:01.5Z"), 1_500_000_000n);
  assert.equal(parseNanoTime("1767225600.123456789"), 1_767_225_600_123_456_789n);
  assert.equal(parseNanoTime("1s", new Date(2000)), 1_000_000_000n);
});
