import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { checkIdMap, idMapText, parseIdMap, subordinateRanges, toContainerId, toHostId } from "./id-map.ts";

const map = [
  { containerID: 0, hostID: 1000, size: 1 },
  { containerID: 1, hostID: 100000, size: 65536 },
];

test("ids are translated both ways, and unmapped ones are told", () => {
  assert.equal(toHostId(map, 0), 1000);
  assert.equal(toHostId(map, 65536), 165535);
  assert.equal(toHostId(map, 65537), undefined);
  assert.equal(toContainerId(map, 100000), 1);
  assert.equal(toContainerId(map, 999), undefined);
});

test("a translation there and back gives the same id", () => {
  fc.assert(
    fc.property(fc.nat(65536), (id) => {
      assert.equal(toContainerId(map, toHostId(map, id)!), id);
    }),
  );
});

test("the text is what the kernel takes and gives", () => {
  assert.equal(idMapText(map), "0 1000 1\n1 100000 65536\n");
  assert.deepEqual(parseIdMap("         0       1000          1\n         1     100000      65536\n"), map);
  assert.throws(
    () => parseIdMap("0 0\n"),
    (error) => isGantryError(error, "data-loss"),
  );
});

test("maps that the kernel refuses are refused with the reason", () => {
  const check = (reason: RegExp, ...ranges: { containerID: number; hostID: number; size: number }[]) =>
    assert.throws(
      () => checkIdMap(ranges, "uid"),
      (error) => isGantryError(error, "invalid-argument") && reason.test(error.message),
    );
  checkIdMap(map, "uid");
  check(/no range/);
  check(/empty/, { containerID: 0, hostID: 0, size: 0 });
  check(/beyond/, { containerID: 0, hostID: 4294967295, size: 1 });
  check(/not of ids/, { containerID: -1, hostID: 0, size: 1 });
  check(/overlaps/, { containerID: 0, hostID: 0, size: 10 }, { containerID: 9, hostID: 100, size: 1 });
  check(/overlaps/, { containerID: 0, hostID: 0, size: 10 }, { containerID: 10, hostID: 9, size: 1 });
  check(/341 ranges/, ...Array.from({ length: 341 }, (_, i) => ({ containerID: i, hostID: i, size: 1 })));
});

test("subordinate ranges are found by name and by uid", () => {
  const text = "alice:100000:65536\nbob:165536:65536\n1000:300000:10\nalice:x:1\nalice:5:0\n# alice:1:1\n";
  assert.deepEqual(subordinateRanges(text, "alice", 1000), [
    { start: 100000, size: 65536 },
    { start: 300000, size: 10 },
  ]);
});
