import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import { checkContainerName } from "./containers/container-name.ts";
import { adjectives, surnames } from "./name-words.ts";
import { RecordNames, randomName } from "./record-names.ts";

const [a, b] = ["a".repeat(64), "b".repeat(64)];

test("a name belongs to whoever claims it first, until that one gives it back", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-names-"));
  try {
    const names = new RecordNames(join(dir, "names"));
    assert.equal(names.find("web"), undefined);
    assert.equal(names.claim("web", a), true);
    assert.equal(names.claim("web", b), false);
    assert.equal(names.find("web"), a);
    names.release("web", b);
    assert.equal(names.find("web"), a);
    names.release("web", a);
    assert.equal(names.claim("web", b), true);
    assert.deepEqual([...names.list()], [["web", b]]);
    assert.deepEqual(readdirSync(join(dir, "names")), ["web"]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("names that would leave the folder or hide in it are refused", () => {
  for (const name of ["..", "../x", ".x", "a", "", "-a", "a/b", "a b", "ä1", "x".repeat(256), "a\n"])
    assert.throws(
      () => checkContainerName(name),
      (error) => isGantryError(error, "invalid-argument"),
      name,
    );
  for (const name of ["web", "a1", "A.b_c-d", "x".repeat(255)]) checkContainerName(name);
  assert.equal(new RecordNames("/").find("../etc/hostname"), undefined);
});

test("random names are names, and there are enough of them", () => {
  for (let count = 0; count < 200; count++) checkContainerName(randomName());
  assert.ok(adjectives.length * surnames.length > 15_000);
  assert.equal(new Set(adjectives).size, adjectives.length);
  assert.equal(new Set(surnames).size, surnames.length);
});
