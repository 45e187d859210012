import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { compileTemplate, TemplateError } from "./format/template.ts";
import { humanDuration, humanSize, parseDuration, parseMemory, parseTime } from "./format/units.ts";
import { parseChanges } from "./import-changes.ts";
import { flag, list, parseArguments, text, UsageError } from "./options.ts";
import { parseVariableFile } from "./run-options/environment.ts";
import { parseCpus, parseUlimit } from "./run-options/limits.ts";
import { parseMount, splitCsv } from "./run-options/mount-flag.ts";
import { parseTmpfs, parseVolume } from "./run-options/mounts.ts";

/** Text made of the pieces that mean something to a parser, with noise between. */
const pieces = (...words: string[]) =>
  fc
    .array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...words) }, fc.string({ maxLength: 4 })), {
      maxLength: 14,
    })
    .map((all) => all.join(""));

test("any template compiles or is refused, and any that compiles runs or is refused", () => {
  const template = pieces(
    ...[
      "{{",
      "}}",
      "{{-",
      "-}}",
      " ",
      ".",
      ".A",
      ".B.C",
      "$",
      "$x",
      ":=",
      "|",
      "(",
      ")",
      '"a"',
      "`b`",
      "1",
      ",",
    ],
    ...[
      "if ",
      "else",
      "end",
      "range ",
      "with ",
      "json ",
      "join ",
      "index ",
      "len ",
      "printf ",
      "break",
      "/*",
      "*/",
    ],
  );
  const value = { A: "a", B: { C: [1, "x", null] }, D: null };
  fc.assert(
    fc.property(template, (source) => {
      try {
        assert.equal(typeof compileTemplate(source).run(value), "string");
      } catch (error) {
        assert.ok(error instanceof TemplateError, `${source}: ${error}`);
      }
    }),
    { numRuns: 3000 },
  );
});

test("any arguments are parsed or refused, and none is lost", () => {
  const table = { detach: flag("", { short: "d" }), env: list("", { short: "e" }), name: text("") };
  const argument = pieces("-", "--", "d", "e", "=", "env", "name", "detach", "x", "true");
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 8 }), fc.boolean(), (args, interspersed) => {
      try {
        const { positionals, values } = parseArguments(table, args, interspersed);
        assert.ok(positionals.every((one) => args.includes(one)));
        assert.ok(Array.isArray(values.env));
      } catch (error) {
        assert.ok(error instanceof UsageError, `${args}: ${error}`);
      }
    }),
    { numRuns: 3000 },
  );
});

test("whatever is written for an option, its parser answers or says why not", () => {
  const parsers: readonly ((given: string) => unknown)[] = [
    ...[
      parseMemory,
      parseDuration,
      parseTime,
      parseUlimit,
      parseCpus,
      parseMount,
      parseVolume,
      parseTmpfs,
      splitCsv,
    ],
    (given) => parseVariableFile(given, "file"),
    (given) => parseChanges([given]),
  ];
  const given = pieces(
    ...[
      "/",
      "a",
      ":",
      ",",
      "=",
      '"',
      "type=bind",
      "source=/a",
      "target=/b",
      "ro",
      "1",
      "9",
      ".",
      "-1",
      "m",
      "h",
      "T",
    ],
    ...["2026-01-01", "nofile=", "ENV ", "CMD ", "[", "]", "\n", "\\", "#"],
  );
  fc.assert(
    fc.property(given, (one) => {
      for (const parse of parsers) {
        try {
          parse(one);
        } catch (error) {
          assert.ok(
            error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError),
            `${one}: ${error}`,
          );
        }
      }
    }),
    { numRuns: 3000 },
  );
});

test("sizes and durations of any number have words", () => {
  fc.assert(
    fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (number) => {
      assert.match(humanSize(number), /^[\d.]+[kMGTPE]?B$/);
      assert.match(humanDuration(number), /second|minute|hour|day|week|month|year/);
    }),
  );
});
