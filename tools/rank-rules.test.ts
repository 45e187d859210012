import assert from "node:assert/strict";
import test from "node:test";
import { parseArchitecture } from "./architecture.ts";
import { againstTheRanks, forbiddenModules, rings, type SourceFile, unlisted } from "./rank-rules.ts";

const architecture = parseArchitecture(`
| rank | folder | what lives there |
|---|---|---|
| 0 | \`src/base/\` | errors |
| 1 | \`src/spec/\` | types; pure |
| 2 | \`src/plan/\` | the table; pure |
| 2 | \`src/bundle/\` | configs; pure |
| 3 | \`src/launch/\` | the executor |
| 9 | \`src/cli/\`, \`src/index.ts\` | commands |
`);

const file = (path: string, ...lines: string[]): SourceFile => ({ path, text: lines.join("\n") });

test("a folder that the table does not list is named once", () => {
  const files = [file("src/new/a.ts"), file("src/new/b.ts"), file("src/base/c.ts"), file("src/other.ts")];
  assert.deepEqual(unlisted(files, architecture), [
    "src/new/ is not in the ranks table of ARCHITECTURE.md",
    "src/other.ts is not in the ranks table of ARCHITECTURE.md",
  ]);
});

test("imports from lower ranks and within the folder are in order", () => {
  const files = [
    file("src/plan/a.ts", 'import "../base/x.ts";', 'import "./b.ts";', 'import { z } from "zod";'),
  ];
  assert.deepEqual(againstTheRanks(files, architecture), []);
});

test("an import from above or from a sibling of the same rank fails, also for types", () => {
  const files = [
    file("src/plan/a.ts", 'import type { L } from "../launch/l.ts";', 'import "../bundle/b.ts";'),
  ];
  assert.deepEqual(againstTheRanks(files, architecture), [
    "src/plan/a.ts:1 imports src/launch/l.ts: rank 2 imports rank 3; a folder imports from lower ranks only",
    "src/plan/a.ts:2 imports src/bundle/b.ts: both have rank 2; a folder imports from lower ranks only",
  ]);
});

test("a pure folder may not reach the machine, but may name its types and test with it", () => {
  const files = [
    file(
      "src/spec/a.ts",
      'import { readFileSync } from "node:fs";',
      'import { createHash } from "node:crypto";',
    ),
    file("src/spec/b.ts", 'import type { Stats } from "node:fs";'),
    file("src/spec/a.test.ts", 'import { readFileSync } from "node:fs";'),
  ];
  assert.deepEqual(forbiddenModules(files, architecture), [
    "src/spec/a.ts:1 imports node:fs: src/spec/ is pure, facts are handed to it",
  ]);
});

test("only the listed folders start processes", () => {
  const files = [
    file("src/launch/a.ts", 'import { spawn } from "node:child_process";'),
    file("src/cli/a.ts", 'import { spawn } from "node:child_process";'),
  ];
  assert.deepEqual(forbiddenModules(files, architecture), [
    "src/cli/a.ts:1 imports node:child_process: only src/launch/ may start processes",
  ]);
});

test("Bun's own modules and builtins without their prefix are refused", () => {
  const files = [file("src/cli/a.ts", 'import { file } from "bun";', 'import "bun:ffi";', 'import "fs";')];
  assert.deepEqual(forbiddenModules(files, architecture), [
    "src/cli/a.ts:1 imports bun: the library runs on Node too",
    "src/cli/a.ts:2 imports bun:ffi: the library runs on Node too",
    "src/cli/a.ts:3 imports fs: write node:fs",
  ]);
});

test("a ring of files is named once; types do not close one", () => {
  const files = [
    file("src/base/c.ts", 'import "./a.ts";'),
    file("src/base/a.ts", 'import "./b.ts";'),
    file("src/base/b.ts", 'import "./c.ts";', 'import type { X } from "./d.ts";'),
    file("src/base/d.ts", 'import "./b.ts";'),
  ];
  assert.deepEqual(rings(files), [
    "ring of imports: src/base/a.ts -> src/base/b.ts -> src/base/c.ts -> src/base/a.ts",
  ]);
});
