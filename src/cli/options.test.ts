import assert from "node:assert/strict";
import test from "node:test";
import { describeOptions, flag, list, parseArguments, text, UsageError, whole } from "./options.ts";

const table = {
  detach: flag("background", { short: "d" }),
  interactive: flag("stdin", { short: "i" }),
  "sig-proxy": flag("signals", { fallback: true }),
  env: list("environment", { short: "e" }),
  name: text("name"),
  memory: text("limit", { short: "m" }),
  "pids-limit": whole("pids"),
};

const refuses = (args: string[], message: string | RegExp) =>
  assert.throws(
    () => parseArguments(table, args, false),
    (error) => {
      assert.ok(error instanceof UsageError);
      if (typeof message === "string") assert.equal(error.message, message);
      else assert.match(error.message, message);
      return true;
    },
  );

test("short flags combine, and the last of them may take a value", () => {
  const { values } = parseArguments(table, ["-die", "A=1", "-eB=2", "-e=C=3", "-m100m"]);
  assert.deepEqual(values.env, ["A=1", "B=2", "C=3"]);
  assert.deepEqual([values.detach, values.interactive, values.memory], [true, true, "100m"]);
});

test("a flag is switched off by =false, long or short", () => {
  const { values } = parseArguments(table, ["--sig-proxy=false", "-d", "-d=false"]);
  assert.deepEqual([values["sig-proxy"], values.detach], [false, false]);
  refuses(["--detach=perhaps"], /invalid argument "perhaps" for "-d, --detach" flag/);
});

test("the first positional argument ends the options of run", () => {
  const { positionals, values } = parseArguments(table, ["-d", "busybox", "ls", "-i", "--", "x"], false);
  assert.deepEqual(positionals, ["busybox", "ls", "-i", "--", "x"]);
  assert.equal(values.interactive, false);
});

test("options may stand after positional arguments elsewhere, up to a double dash", () => {
  const { positionals, values } = parseArguments(table, ["a", "-d", "--", "-i"]);
  assert.deepEqual(positionals, ["a", "-i"]);
  assert.equal(values.detach, true);
});

test("an empty value and a single dash are kept as they are", () => {
  const { positionals, values } = parseArguments(table, ["--name=", "-"]);
  assert.deepEqual([values.name, positionals], ["", ["-"]]);
});

test("mistakes are named in docker's words", () => {
  refuses(["--foo"], "unknown flag: --foo");
  refuses(["-z", "x"], "unknown shorthand flag: 'z' in -z");
  refuses(["-dz"], "unknown shorthand flag: 'z' in -z");
  refuses(["--memory"], "flag needs an argument: --memory");
  refuses(["-m"], "flag needs an argument: 'm' in -m");
  refuses(
    ["--pids-limit", "5x"],
    'invalid argument "5x" for "--pids-limit" flag: parsing "5x": invalid syntax',
  );
  refuses(["--pids-limit=9007199254740993"], /value out of range/);
});

test("names of Object's own members are no options", () => {
  refuses(["--constructor"], "unknown flag: --constructor");
  refuses(["--__proto__=1"], "unknown flag: --__proto__");
});

test("help is asked for with --help and -h", () => {
  assert.equal(parseArguments(table, ["--help"]).help, true);
  assert.equal(parseArguments(table, ["-h"]).help, true);
  assert.equal(parseArguments(table, ["busybox", "--help"], false).help, false);
});

test("the help lists options by name in aligned columns", () => {
  const lines = describeOptions(table).split("\n");
  assert.equal(lines[0], "  -d, --detach           background");
  assert.equal(lines.at(-1), "      --sig-proxy        signals");
});
