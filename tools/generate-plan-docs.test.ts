import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { planDocument } from "./generate-plan-docs.ts";

test("docs/plan.md says what the operation table says", () => {
  const text = readFileSync(new URL("../docs/plan.md", import.meta.url), "utf8");
  assert.equal(text, planDocument(), "run: bun tools/generate-plan-docs.ts");
});
