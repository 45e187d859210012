import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { expand, missingRows, specDocument } from "./generate-spec-table.ts";
import { configFields } from "./spec-fields.ts";
import { specTable } from "./spec-table.ts";
import { hasTest } from "./test-names.ts";

test("docs/runtime-spec.md says what its table says", () => {
  const text = readFileSync(new URL("../docs/runtime-spec.md", import.meta.url), "utf8");
  assert.equal(text, specDocument(), "run: bun tools/generate-spec-table.ts");
});

test("every member and value that the decoders know has one row, and no other has", () => {
  assert.deepEqual(missingRows(specTable), []);
  assert.ok(configFields().includes("/process/rlimits/*/soft"));
  assert.ok(configFields().includes("/linux/resources/blockIO/weightDevice/*/leafWeight"));
});

test("a row that is missing, double or of nothing is told", () => {
  const [first, ...rest] = specTable;
  const [ociVersion, ...rows] = first!.rows;
  const nothing = { of: "/nothing", proofs: [] };
  assert.deepEqual(missingRows([{ ...first!, rows: [...rows, rows[0]!, nothing] }, ...rest]), [
    `${ociVersion!.of} has no row`,
    "/nothing is not in the config",
    `${rows[0]!.of} has two rows`,
  ]);
});

test("braces stand for each of their words", () => {
  assert.deepEqual(expand("/a/{b,c}/*/{d,e}"), ["/a/b/*/d", "/a/b/*/e", "/a/c/*/d", "/a/c/*/e"]);
});

test("a test is found by its name, made by a template or not, and a sentence that nobody says is not", () => {
  const source = 'test("one thing", f); test(`${what} is refused, whole`, f); const all = ["a host name"];';
  for (const name of ["one thing", "a host name is refused, whole", "word is refused, whole"])
    assert.ok(hasTest([source], name), name);
  assert.ok(hasTest([source], "${what} is refused, whole"));
  for (const name of ["one", "another name is refused, whole", "${who} is refused, whole"])
    assert.ok(!hasTest([source], name), name);
});
