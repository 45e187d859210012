import assert from "node:assert/strict";
import test from "node:test";
import type { ContainerRecord, LastRun } from "./container-record.ts";
import { heldBack, restartAfter, restarted, startsWithMachine, withoutRestarts } from "./restart-policy.ts";

const record = (patch: Partial<ContainerRecord>) => ({ id: "a".repeat(64), ...patch }) as ContainerRecord;
const start = Date.parse("2026-01-01T00:00:00Z");
const ran = (exitCode: number, ms = 5): LastRun => ({
  startedAt: new Date(start).toISOString(),
  finishedAt: new Date(start + ms).toISOString(),
  exitCode,
  oomKilled: false,
});

test("each policy wants what docker's does", () => {
  const wants = (name: "no" | "always" | "unless-stopped" | "on-failure", code: number, more = {}) =>
    restartAfter(record({ restartPolicy: { name }, ...more }), ran(code)) !== undefined;
  assert.equal(restartAfter(record({}), ran(1)), undefined);
  assert.deepEqual([wants("no", 1), wants("always", 0), wants("unless-stopped", 0)], [false, true, true]);
  assert.deepEqual([wants("on-failure", 0), wants("on-failure", 1)], [false, true]);
  for (const name of ["always", "unless-stopped", "on-failure"] as const)
    assert.equal(wants(name, 1, { manuallyStopped: true }), false);
});

test("on-failure gives up after as many tries as it has", () => {
  const restartPolicy = { name: "on-failure", maximumRetries: 2 } as const;
  const pending = [0, 1, 2].map((restartCount) =>
    restartAfter(record({ restartPolicy, restartCount }), ran(1)),
  );
  assert.deepEqual(
    pending.map((one) => one !== undefined),
    [true, true, false],
  );
});

test("the pause doubles to a minute, and begins anew after a run of ten seconds", () => {
  let one = record({ restartPolicy: { name: "always" } });
  const delays: number[] = [];
  for (let count = 0; count < 12; count++) {
    const restart = restartAfter(one, ran(1))!;
    delays.push(restart.delayMs);
    assert.equal(Date.parse(restart.at), start + 5 + restart.delayMs);
    one = restarted({ ...one, restart });
  }
  assert.deepEqual(delays.slice(0, 4), [100, 200, 400, 800]);
  assert.deepEqual(delays.slice(-2), [60_000, 60_000]);
  assert.equal(one.restartCount, 12);
  assert.equal(restartAfter(one, ran(1, 10_000))!.delayMs, 100);
});

test("who stops a container holds it back in this boot; always comes up in the next", () => {
  const always = heldBack(record({ restartPolicy: { name: "always" } }), "one");
  assert.deepEqual([startsWithMachine(always, "one"), startsWithMachine(always, "two")], [false, true]);
  const unless = heldBack(record({ restartPolicy: { name: "unless-stopped" } }), "one");
  assert.equal(startsWithMachine(unless, "two"), false);
  assert.equal(startsWithMachine(withoutRestarts(always), "two"), false);
});
