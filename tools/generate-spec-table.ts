/**
 * Writes docs/runtime-spec.md from tools/spec-table.ts: each part of the runtime specification and the tests that
 * prove it. Fails where a test does not exist, where a member or value that the decoders know has no row, and where a
 * row is of nothing. `--check` writes nothing and fails if the file differs.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runtimeSpecVersion } from "../src/spec/runtime-config.ts";
import { configFields, configValues } from "./spec-fields.ts";
import type { Proof, Row, Section } from "./spec-table/proofs.ts";
import { specTable } from "./spec-table.ts";
import { hasTest } from "./test-names.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** "/a/{b,c}" is "/a/b" and "/a/c". */
export function expand(pattern: string): readonly string[] {
  const braces = /\{([^}]*)\}/.exec(pattern);
  if (!braces) return [pattern];
  const [before, after] = [pattern.slice(0, braces.index), pattern.slice(braces.index + braces[0].length)];
  return braces[1]!.split(",").flatMap((word) => expand(`${before}${word}${after}`));
}

/** What has no row, and what a row names that is not there. */
export function missingRows(sections: readonly Section[]): readonly string[] {
  const known = new Set([
    ...configFields(),
    ...Object.entries(configValues).flatMap(([field, values]) => values.map((value) => `${field}=${value}`)),
  ]);
  const rows = sections.flatMap(({ rows }) => rows.flatMap(({ of }) => expand(of)));
  const placed = new Set(rows);
  return [
    ...[...known].filter((one) => !placed.has(one)).map((one) => `${one} has no row`),
    ...rows
      .filter((one) => one.startsWith("/") && one !== "/*" && !known.has(one))
      .map((one) => `${one} is not in the config`),
    ...rows.filter((one, index) => rows.indexOf(one) !== index).map((one) => `${one} has two rows`),
  ];
}

function missingProofs(rows: readonly Row[]): readonly string[] {
  return rows.flatMap(({ of, proofs, note }) => [
    ...proofs
      .filter((proof) => !proves(proof))
      .map(([suite, test]) => `${of}: ${suite}.test.ts has no test "${test}"`),
    ...(proofs.length === 0 && !note ? [`${of}: neither a proof nor a reason`] : []),
  ]);
}

function proves([suite, test]: Proof): boolean {
  const file = join(root, `${suite}.test.ts`);
  // cases of the golden plans stand beside their test
  const beside = [join(dirname(file), "cases.ts")].filter((path) => existsSync(path));
  return (
    existsSync(file) &&
    hasTest(
      [file, ...beside].map((path) => readFileSync(path, "utf8")),
      test,
    )
  );
}

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** "${kind as string}" is code of the test: people read an ellipsis. */
const words = (test: string) => cell(test.replaceAll(/\$\{[^}]*\}/g, "…"));

function line({ of, proofs, note }: Row): string {
  const tests = proofs.map(([suite, test]) => `[${words(test)}](../${suite}.test.ts)`);
  const proof = tests.length > 0 ? tests.join("<br>") : "**none**";
  return `| \`${cell(of)}\` | ${proof}${note ? `<br>${cell(note)}` : ""} |`;
}

export function specDocument(): string {
  const rows = specTable.flatMap((section) => section.rows);
  const places = rows.flatMap(({ of, proofs }) => expand(of).map(() => proofs.length > 0));
  return [
    "<!-- Made by tools/generate-spec-table.ts from tools/spec-table.ts. Do not edit. -->",
    "",
    `# The runtime specification ${runtimeSpecVersion}, and what proves it`,
    "",
    "Every member of a config.json on Linux and every value with a meaning of its own, by JSON pointer (`*` is any index",
    "or key, `{a,b}` either, `=` comes before a value), with the tests that show that `gantry-oci create` and `run` do it.",
    "`npm run check` fails when a test that is named here is gone, or when the decoder learns a member that is not here.",
    "",
    `${places.filter(Boolean).length} of ${places.length} have a proof.`,
    "",
    ...specTable.flatMap(({ title, rows }) => [
      `## ${title}`,
      "",
      "| what | proved by |",
      "|---|---|",
      ...rows.map(line),
      "",
    ]),
  ]
    .join("\n")
    .replace(/\n+$/, "\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = [...missingRows(specTable), ...missingProofs(specTable.flatMap(({ rows }) => rows))];
  const path = join(root, "docs/runtime-spec.md");
  const text = specDocument();
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, "utf8") !== text)
    problems.push("docs/runtime-spec.md differs from its table: run bun tools/generate-spec-table.ts");
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}
