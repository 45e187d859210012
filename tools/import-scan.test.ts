import assert from "node:assert/strict";
import test from "node:test";
import { scanImports } from "./import-scan.ts";

const specifiers = (source: string) => scanImports(source).map((found) => found.specifier);

test("every form of import is found, with its line", () => {
  const source = [
    'import a from "./a.ts";',
    "import { b,",
    '  c } from "./b.ts";',
    'import * as d from "./d.ts";',
    'import "./e.ts";',
    'export { f } from "./f.ts";',
    'export * from "./g.ts";',
    'export * as h from "./h.ts";',
    'const i = await import("./i.ts");',
    'import j, { type k } from "./j.ts";',
    'const l = process.getBuiltinModule("node:net").isIP;',
  ].join("\n");
  assert.deepEqual(
    scanImports(source).map(({ specifier, line, typeOnly }) => [specifier, line, typeOnly]),
    [
      ["./a.ts", 1, false],
      ["./b.ts", 2, false],
      ["./d.ts", 4, false],
      ["./e.ts", 5, false],
      ["./f.ts", 6, false],
      ["./g.ts", 7, false],
      ["./h.ts", 8, false],
      ["./i.ts", 9, false],
      ["./j.ts", 10, false],
      ["node:net", 11, false],
    ],
  );
});

test("imports of types alone are told apart", () => {
  const source = [
    'import type { A } from "./a.ts";',
    'import type B from "./b.ts";',
    'export type { C } from "./c.ts";',
    'let d: import("./d.ts").D;',
    'import type from "./value.ts";',
    'import { type E } from "./e.ts";',
  ].join("\n");
  assert.deepEqual(
    scanImports(source).map(({ specifier, typeOnly }) => [specifier, typeOnly]),
    [
      ["./a.ts", true],
      ["./b.ts", true],
      ["./c.ts", true],
      ["./d.ts", true],
      ["./value.ts", false],
      ["./e.ts", false],
    ],
  );
});

test("what stands in comments, strings, templates and regular expressions is not an import", () => {
  const source = [
    '// import "./comment.ts";',
    '/* import "./block.ts"; */',
    "const s = 'import \"./string.ts\"';",
    'const t = `import "./template.ts"; ${f({ a: "}" })} export * from "./template2.ts"`;',
    'const r = /import "x.ts"[/"]/.test(s) ? 1 / 2 : 3;',
    'const u = `${await import("./inside.ts")}`;',
    'import "./last.ts";',
  ].join("\n");
  assert.deepEqual(specifiers(source), ["./inside.ts", "./last.ts"]);
});

test("exports and words that only look like imports are left alone", () => {
  const source = [
    "export const from = 'x';",
    "export function f() { return object.import('./method.ts'); }",
    "export default from;",
    "export interface A { from: 'y' }",
    "export { from };",
    "const here = import.meta.dirname;",
    'type T = "z";',
  ].join("\n");
  assert.deepEqual(specifiers(source), []);
});
