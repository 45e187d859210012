import assert from "node:assert/strict";
import test from "node:test";
import { parseJunit } from "./junit.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4" assertions="0" failures="1" skipped="1" time="0.2">
  <testsuite name="a.test.ts" file="a.test.ts" tests="4" failures="1" skipped="1">
    <testcase name="skips" classname="" time="0" file="a.test.ts" line="2" assertions="0">
      <skipped />
    </testcase>
    <testcase name="passes" classname="" time="0" file="a.test.ts" line="4" assertions="0" />
    <testcase name="fails &lt;once&gt;" classname="" time="0.01" file="a.test.ts" line="5" assertions="0">
      <failure type="AssertionError" message="1 !== 2">AssertionError: 1 !== 2&#10;  at x</failure>
    </testcase>
    <testcase name="last" classname="" time="0" file="a.test.ts" line="6" assertions="0" />
  </testsuite>
</testsuites>`;

test("counts and failures are read", () => {
  assert.deepEqual(parseJunit(report), {
    passed: 2,
    failed: 1,
    skipped: 1,
    failures: [{ name: "a.test.ts > fails <once>", text: "AssertionError: 1 !== 2\n  at x" }],
  });
});

test("a report that was cut short is refused, not read as a success", () => {
  assert.throws(() => parseJunit(report.slice(0, 400)), /cut short/);
});
