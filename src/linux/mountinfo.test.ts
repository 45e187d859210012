import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { mountOf, parseMountinfo, parseMountLine } from "./mountinfo.ts";
import { hasEnded, parseProcStat } from "./proc-stat.ts";

test("a line with tags, escapes and options is taken apart", () => {
  assert.deepEqual(
    parseMountLine(
      "36 35 98:0 /a\\040b /mnt\\134x rw,noatime master:1 shared:2 - ext3 /dev/r\\011t rw,errors=continue",
    ),
    {
      id: 36,
      parentId: 35,
      major: 98,
      minor: 0,
      root: "/a b",
      mountPoint: "/mnt\\x",
      options: ["rw", "noatime"],
      tags: ["master:1", "shared:2"],
      fsType: "ext3",
      source: "/dev/r\tt",
      superOptions: ["rw", "errors=continue"],
    },
  );
});

test("the list of this machine is read whole", () => {
  const text = readFileSync("/proc/self/mountinfo", "utf8");
  const entries = parseMountinfo(text);
  assert.equal(entries.length, text.trim().split("\n").length);
  assert.equal(mountOf(entries, "/proc/self/stat")?.fsType, "proc");
});

test("of mounts above a path the nearest counts, and of stacked ones the last", () => {
  const entries = parseMountinfo(
    [
      "1 0 0:1 / / rw - a a rw",
      "2 1 0:2 / /x rw - b b rw",
      "3 2 0:3 / /x rw - c c rw",
      "4 1 0:4 / /xy rw - d d rw",
      "",
    ].join("\n"),
  );
  assert.equal(mountOf(entries, "/x/1")?.fsType, "c");
  assert.equal(mountOf(entries, "/xyz")?.fsType, "a");
  assert.equal(mountOf(entries, "/xy")?.fsType, "d");
});

test("garbage is refused as data-loss, never otherwise", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(fc.constantFrom("1", "-", "0:1", "/", "rw", "x")).map((w) => w.join(" ")),
      ),
      (text) => {
        try {
          parseMountinfo(text);
        } catch (error) {
          assert.ok(isGantryError(error, "data-loss"));
        }
      },
    ),
  );
});

test("a process whose name holds parentheses is told from its neighbours", () => {
  const rest = Array.from({ length: 48 }, (_, i) => String(i + 5)).join(" ");
  const stat = parseProcStat(`1234 (a) (b c) S 1 ${rest}\n`);
  assert.deepEqual([stat.pid, stat.comm, stat.state, stat.parentPid], [1234, "a) (b c", "S", 1]);
  assert.equal(stat.startTime, 22);
  assert.ok(!hasEnded(stat) && hasEnded({ state: "Z" }));
});

test("the own process is read as the system states it", () => {
  const stat = parseProcStat(readFileSync("/proc/self/stat", "utf8"));
  assert.equal(stat.pid, process.pid);
  assert.equal(stat.parentPid, process.ppid);
  assert.ok(stat.startTime > 0);
});

test("a malformed process line is refused as data-loss", () => {
  for (const text of ["", "1 (x", "1 x) S 1", "(x) S", "x (y) S 1 2 3"])
    assert.throws(
      () => parseProcStat(text),
      (error) => isGantryError(error, "data-loss"),
    );
});
