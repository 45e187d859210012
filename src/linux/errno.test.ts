import assert from "node:assert/strict";
import { constants } from "node:os";
import test from "node:test";
import { errnoName, errnoNumber, errnoWords } from "./errno.ts";

test("names and numbers are those of the system", () => {
  for (const [name, number] of Object.entries(constants.errno)) {
    assert.equal(errnoNumber(name), number, name);
    assert.equal(errnoNumber(errnoName(number)), number, name);
  }
});

test("words are those that callers of a runtime look for", () => {
  assert.equal(errnoWords("ENOENT"), "no such file or directory");
  assert.equal(errnoWords(13), "permission denied");
  assert.equal(errnoWords(1), "operation not permitted");
  assert.equal(errnoWords(3), "no such process");
  assert.equal(errnoWords("ENOEXEC"), "exec format error");
  assert.equal(errnoWords("EIO"), "input/output error");
  assert.equal(errnoWords("ENOTDIR"), "not a directory");
});

test("an unknown number is named as such", () => {
  assert.equal(errnoName(4000), "errno 4000");
  assert.equal(errnoWords(4000), "errno 4000");
  assert.equal(errnoWords("EWHAT"), "errno EWHAT");
});
