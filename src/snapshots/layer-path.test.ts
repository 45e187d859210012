import assert from "node:assert/strict";
import { posix } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { GantryError } from "../base/error.ts";
import type { ByteString } from "../wire/tar-format.ts";
import { cleanPath, whiteoutOf } from "./layer-path.ts";

const clean = (path: string) => cleanPath(path as ByteString) as string;

test("paths are cleaned as text, and may not leave the root", () => {
  const table: Record<string, string> = {
    "a/b": "a/b",
    "./a//b/": "a/b",
    "/": "",
    ".": "",
    "./": "",
    "a/../b": "b",
    "a/..": "",
    "/etc/passwd": "etc/passwd",
    "...": "...",
    "a/..b/.c.": "a/..b/.c.",
  };
  for (const [path, expected] of Object.entries(table)) assert.equal(clean(path), expected, path);
  for (const path of ["..", "../a", "a/../..", "/..", "./../a"])
    assert.throws(
      () => clean(path),
      (error) =>
        error instanceof GantryError &&
        error.code === "invalid-argument" &&
        /leaves the root/.test(error.message),
      path,
    );
});

test("a cleaned path is what path.normalize makes of it, or leaves the root there too", () => {
  const part = fc.constantFrom("a", "b", "..", ".", "", "...", ".wh.x", "\xe9");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const path = parts.join("/");
      const expected = posix.normalize(`./${path}`).replace(/\/$/, "").replace(/^\.$/, "");
      if (expected.startsWith("..") && /^\.\.(\/|$)/.test(expected))
        assert.throws(() => clean(path), /leaves the root/);
      else {
        try {
          assert.equal(clean(path), expected);
        } catch (error) {
          // a path that goes out and comes back is refused, though its text would end inside
          if (!(error instanceof GantryError)) throw error;
          assert.match(path, /\.\./);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test("whiteout names are read, bookkeeping of AUFS is told apart", () => {
  const of = (path: string) => whiteoutOf(path as ByteString);
  assert.equal(of("a/b"), undefined);
  assert.equal(of("a/.whx"), undefined);
  assert.equal(of(".wh.dir/b"), undefined);
  assert.deepEqual(of("a/.wh.b"), { kind: "path", path: "a/b" });
  assert.deepEqual(of(".wh.b"), { kind: "path", path: "b" });
  assert.deepEqual(of("a/.wh..wh..opq"), { kind: "directory", path: "a" });
  assert.deepEqual(of(".wh..wh..opq"), { kind: "directory", path: "" });
  assert.deepEqual(of(".wh..wh.plnk"), { kind: "aufs" });
  for (const path of [".wh.", "a/.wh..", "a/.wh..."]) assert.throws(() => of(path), /names no file/);
});
