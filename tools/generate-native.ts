/**
 * Writes native/gen/*.h from the tables in src/plan/, so that both languages speak from one source.
 * `--check` writes nothing and fails if a file differs (a test runs it so).
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { errnoRows } from "../src/linux/errno.ts";
import { registerLimit } from "../src/plan/encode.ts";
import {
  type OperandKind,
  type Operation,
  operations,
  type Rule,
  type Stage,
} from "../src/plan/operations.ts";
import { planVersion, syncPoints } from "../src/plan/plan.ts";
import { frameLimitBytes, replies, requests, stageNumbers } from "../src/plan/protocol.ts";

const kindLetters: Readonly<Record<OperandKind, string>> = {
  u32: "4",
  u64: "8",
  text: "t",
  bytes: "b",
  texts: "T",
  numbers: "N",
  fd: "f",
  "fd?": "?",
  "fd+": "+",
  "fd-": "-",
};
const stageBits: Readonly<Record<Stage, number>> = { host: 1, child: 2, cleanup: 4, layer: 8 };
const ruleBits: Readonly<Record<Rule, number>> = {
  "in-root": 1,
  pivot: 2,
  seccomp: 4,
  confined: 8,
  close: 16,
  last: 32,
  clone: 64,
  "with-child": 128,
  controller: 256,
  empties: 512,
};

const constant = (name: string) => name.toUpperCase().replaceAll("-", "_");
const define = (prefix: string, table: Readonly<Record<string, number>>) =>
  Object.entries(table).map(([name, value]) => `#define ${prefix}_${constant(name)} ${value}`);
const warning = "/* Made by tools/generate-native.ts from src/plan/. Do not edit. */";

function operationsHeader(): string {
  const entries = Object.entries(operations as Readonly<Record<string, Operation>>);
  const bits = (names: readonly string[], table: Readonly<Record<string, number>>) =>
    names.reduce((sum, name) => sum | table[name]!, 0);
  return [
    warning,
    "#ifndef GEN_OPERATIONS_H",
    "#define GEN_OPERATIONS_H",
    `#define PLAN_VERSION ${planVersion}`,
    `#define REGISTER_LIMIT ${registerLimit}`,
    `#define OPERAND_LIMIT ${Math.max(...entries.map(([, operation]) => Object.keys(operation.operands).length))}`,
    ...define("IN", stageBits),
    ...define("RULE", ruleBits),
    "",
    "/* X(number, symbol, name, operand kinds, stages, rules) */",
    "#define OPERATIONS(X) \\",
    entries
      .map(([name, { number, operands, stages, rules }]) => {
        const kinds = Object.values(operands)
          .map((kind) => kindLetters[kind])
          .join("");
        return `  X(${number}, ${name.replaceAll("-", "_")}, "${name}", "${kinds}", ${bits(stages, stageBits)}, ${bits(rules, ruleBits)})`;
      })
      .join(" \\\n"),
    "",
    "/* operand positions */",
    ...entries.flatMap(([name, { operands }]) =>
      Object.keys(operands).map(
        (operand, index) =>
          `#define ${constant(name)}_${constant(operand.replace(/([A-Z])/g, "-$1"))} ${index}`,
      ),
    ),
    "#endif",
    "",
  ].join("\n");
}

function protocolHeader(): string {
  return [
    warning,
    "#ifndef GEN_PROTOCOL_H",
    "#define GEN_PROTOCOL_H",
    `#define FRAME_LIMIT ${frameLimitBytes}u`,
    ...define("REQUEST", requests),
    ...define("REPLY", replies),
    ...define("POINT", syncPoints),
    ...define("STAGE", stageNumbers),
    "#endif",
    "",
  ].join("\n");
}

/** The words that callers know; those of a C library differ from one to the next. */
function errnoHeader(): string {
  return [
    warning,
    "#ifndef GEN_ERRNO_H",
    "#define GEN_ERRNO_H",
    "#define ERRNO_WORDS \\",
    errnoRows.map(([number, , words]) => `  [${number}] = ${JSON.stringify(words)},`).join(" \\\n"),
    "",
    "#endif",
    "",
  ].join("\n");
}

const folder = join(fileURLToPath(new URL("..", import.meta.url)), "native", "gen");
const check = process.argv.includes("--check");
mkdirSync(folder, { recursive: true });
for (const [name, text] of [
  ["operations.h", operationsHeader()],
  ["protocol.h", protocolHeader()],
  ["errno.h", errnoHeader()],
] as const) {
  const path = join(folder, name);
  if (!check) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`native/gen/${name} differs from the tables in src/plan/: run "npm run generate"`);
    process.exitCode = 1;
  }
}
