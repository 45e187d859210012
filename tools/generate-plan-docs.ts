/**
 * Writes docs/plan.md from the operation table, so that the documentation of the plan language cannot
 * differ from it. `--check` writes nothing and fails if the file differs.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type OperandKind, type Operation, operations, type Rule } from "../src/plan/operations.ts";
import { planVersion, syncPoints } from "../src/plan/plan.ts";

const kinds: Readonly<Record<OperandKind, string>> = {
  u32: "a number of 32 bits",
  u64: "a number of 64 bits",
  text: "text without NUL",
  bytes: "any bytes",
  texts: "a list of texts",
  numbers: "a list of numbers of 32 bits",
  fd: "a descriptor that is open",
  "fd?": "a descriptor that is open, or none",
  "fd+": "a descriptor that the operation fills",
  "fd-": "a descriptor that the operation uses and closes",
};

const rules: Readonly<Record<Rule, string>> = {
  "in-root": "works on a path in the root: may not come after `pivot`",
  pivot: "makes the root the root",
  seccomp: "installs the filter: only `confined` operations may follow",
  confined: "may follow the filter",
  close: "ends the opening of descriptors; `exec` demands it",
  last: "ends its stage",
  clone: "stands at most once; the child exists from here on",
  "with-child": "may not come before `clone`",
  controller: "needs somebody at the other end of the dialogue",
  empties: "empties every register that it does not name",
};

const groups: readonly (readonly [title: string, first: number])[] = [
  ["Descriptors and the dialogue", 0],
  ["Control groups", 20],
  ["The child", 30],
  ["Mounts", 60],
  ["In the root", 80],
  ["Confinement and exec", 100],
  ["The life of a container", 120],
  ["Layers", 140],
  ["What is taken of the host", 200],
];

function operandWords(operation: Operation): string {
  const words = Object.entries(operation.operands).map(([name, kind]) => `\`${name}\`: ${kind}`);
  return words.length === 0 ? "none" : words.join(", ");
}

export function planDocument(): string {
  const all = Object.entries(operations as Readonly<Record<string, Operation>>).sort(
    ([, a], [, b]) => a.number - b.number,
  );
  const sections = groups.flatMap(([title, first], index) => {
    const next = groups[index + 1]?.[1] ?? Number.POSITIVE_INFINITY;
    const own = all.filter(([, { number }]) => number >= first && number < next);
    if (own.length === 0) return [];
    return [
      `## ${title}`,
      "",
      ...own.flatMap(([name, operation]) => [
        `### \`${name}\` (${operation.number})`,
        "",
        `${operation.doc[0]!.toUpperCase()}${operation.doc.slice(1)}.`,
        "",
        `- operands: ${operandWords(operation)}`,
        `- stages: ${operation.stages.join(", ")}`,
        ...(operation.rules.length > 0 ? [`- rules: ${operation.rules.join(", ")}`] : []),
        "",
      ]),
    ];
  });
  return [
    "<!-- Made by tools/generate-plan-docs.ts from src/plan/operations.ts. Do not edit. -->",
    "",
    "# The plan language",
    "",
    `Every privileged act of Gantry is a step of a plan. TypeScript compiles it, \`gantry explain\` prints it, and`,
    "the executor checks it whole before it runs any of it. This page is made from the table that both sides are",
    `made from. The binary form is version ${planVersion}; an executor refuses any other.`,
    "",
    "A plan has three stages: `host` (acts of the executor), `child` (acts of the new process, up to becoming the",
    "program) and `cleanup` (what undoes the rest, after the child's end and after any failure); or the stage",
    "`layer` alone, for unpacking.",
    "",
    "Operands are of these kinds:",
    "",
    ...Object.entries(kinds).map(([kind, words]) => `- \`${kind}\`: ${words}`),
    "",
    "Rules of order, which the executor checks:",
    "",
    ...Object.entries(rules).map(([rule, words]) => `- \`${rule}\`: ${words}`),
    "",
    `Points at which the executor talks to its controller: ${Object.entries(syncPoints)
      .map(([name, number]) => `\`${name}\` (${number})`)
      .join(", ")}.`,
    "",
    ...sections,
  ]
    .join("\n")
    .replace(/\n+$/, "\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = join(dirname(fileURLToPath(import.meta.url)), "..", "docs", "plan.md");
  const text = planDocument();
  if (!process.argv.includes("--check")) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } else if (readFileSync(path, "utf8") !== text) {
    console.error('docs/plan.md differs from src/plan/operations.ts: run "npm run generate"');
    process.exitCode = 1;
  }
}
