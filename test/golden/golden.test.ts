import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { encodePlan } from "../../src/plan/encode.ts";
import { printPlan } from "../../src/plan/print.ts";
import { cases } from "./cases.ts";

const folder = fileURLToPath(new URL("plans", import.meta.url));
const update = process.env.UPDATE_GOLDEN === "1";

for (const { name, compile } of cases)
  test(`the plan of ${name} is the golden one`, () => {
    const path = join(folder, `${name}.txt`);
    const warnings: string[] = [];
    const plan = compile((message, at) => warnings.push(`warning ${at}: ${message}\n`));
    encodePlan(plan);
    const text = warnings.join("") + printPlan(plan);
    if (update) writeFileSync(path, text);
    assert.ok(existsSync(path), `${path} is missing: run with UPDATE_GOLDEN=1`);
    const [found, golden] = [text.split("\n"), readFileSync(path, "utf8").split("\n")];
    const line = found.findIndex((one, index) => one !== golden[index]);
    assert.equal(
      found[line],
      golden[line],
      `line ${line + 1} changed: if that is meant, run with UPDATE_GOLDEN=1`,
    );
    assert.equal(
      found.length,
      golden.length,
      "the plan is shorter: if that is meant, run with UPDATE_GOLDEN=1",
    );
  });

test("there is no golden plan without a case", () => {
  const names = new Set(cases.map(({ name }) => `${name}.txt`));
  assert.deepEqual(
    readdirSync(folder).filter((name) => !names.has(name)),
    [],
  );
});
