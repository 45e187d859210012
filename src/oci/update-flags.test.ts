import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import { parseFlags } from "./flags.ts";
import { resourcesOfFlags, sizeOf, updateFlags } from "./update-flags.ts";
import { durationMs } from "./verb-events.ts";
import { selectLines } from "./verb-ps.ts";

const read = (...argv: string[]) => resourcesOfFlags(parseFlags(argv, updateFlags), () => {});

test("sizes are those of docker/go-units", () => {
  for (const [text, bytes] of [
    ["-1", -1],
    ["512", 512],
    ["64M", 64 << 20],
    ["1.5 GiB", 1.5 * (1 << 30)],
    ["2kb", 2048],
    ["7b", 7],
  ] as const)
    assert.equal(sizeOf("memory", text), bytes, text);
  for (const text of ["abc", "1.5x", "-2", "1 2"])
    assert.throws(() => sizeOf("memory", text), /invalid value for memory: invalid size/);
});

test("flags become members of linux.resources, and what is not given stays out", () => {
  assert.deepEqual(read("--memory", "64M", "--pids-limit=-1", "--cpu-quota", "-1", "--cpuset-cpus", "0-1"), {
    memory: { limit: 64 << 20 },
    cpu: { quota: -1, cpus: "0-1" },
    blockIO: {},
    pids: { limit: -1 },
  });
  assert.deepEqual(read("--kernel-memory", "5M"), { memory: {}, cpu: {}, blockIO: {} });
  assert.throws(
    () => read("--cpu-period", "-5"),
    (error) =>
      isGantryError(error, "invalid-argument") &&
      /invalid value for cpu-period: strconv.ParseUint: parsing "-5"/.test(error.message),
  );
  assert.throws(() => read("--cpu-idle", "3"), /\/cpu\/idle: 3 is out of range/);
});

test("intervals are durations as Go writes them", () => {
  for (const [text, ms] of [
    ["5s", 5000],
    ["1m30s", 90_000],
    ["250ms", 250],
    ["1.5h", 5_400_000],
    ["0", 0],
    ["-1s", -1000],
  ] as const)
    assert.equal(durationMs(text), ms, text);
  for (const text of ["", "5", "s", "5s3"]) assert.throws(() => durationMs(text), /parse error/);
});

test("ps shows the head and the lines of the container, wherever PID stands", () => {
  const output = "  PID COMMAND\n    7 a\n   70 b 7\n    9 c\n";
  assert.equal(selectLines(output, new Set([7, 9])), "  PID COMMAND\n    7 a\n    9 c\n");
  assert.throws(() => selectLines("USER COMMAND\n", new Set()), /couldn't find PID field in ps output/);
});
