/**
 * `npm test [-- SUITE…]`: every kind of test that this machine allows, each suite in a fresh process.
 *
 * A suite is a folder of tests; one whose folder is not there does not exist and is left out. A runner that
 * crashes, hangs, or finds no test in a folder that exists counts as a failed test. The last line is
 * `N passed, N failed, N skipped`, and the exit status is 1 when anything failed.
 */
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checks, runCheck } from "./checks.ts";
import { type Counts, parseJunit } from "./junit.ts";
import { run, top } from "./run.ts";

interface Suite {
  readonly name: string;
  /** The tests need dist/. */
  readonly built: boolean;
  readonly folders: readonly string[];
  readonly timeoutMs: number;
  /** The deadline of one test that states none of its own. */
  readonly testTimeoutMs?: number;
}

const minute = 60_000;
const shownFailures = 15;
const inOrder = [
  "golden",
  "kernel",
  "seccomp",
  "layers",
  "shim",
  "registry",
  "robust",
  "attack",
  "cli",
  "library",
];
const suites: readonly Suite[] = [
  { name: "unit", built: false, folders: ["src", "tools", "scripts"], timeoutMs: 5 * minute },
  { name: "native", built: true, folders: ["native/test"], timeoutMs: 10 * minute },
  ...inOrder.map(inTest),
  ...otherFolders(["lib", "peers", "vm"]).map(inTest),
  { ...inTest("lib"), name: "testbed" },
  { ...inTest("peers"), testTimeoutMs: 10 * minute, timeoutMs: 45 * minute },
  // an emulated processor runs the kernel suite, twice
  { ...inTest("vm"), testTimeoutMs: 5 * minute, timeoutMs: 60 * minute },
];

function inTest(name: string): Suite {
  return { name, built: true, folders: [`test/${name}`], timeoutMs: 15 * minute };
}

/** Folders of tests that the list above does not name yet: none may be passed over in silence. */
function otherFolders(later: readonly string[]): string[] {
  const present = readdirSync(join(top, "test"), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  return present.map(({ name }) => name).filter((name) => !inOrder.includes(name) && !later.includes(name));
}

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const reasons: string[] = [];
const chosen = process.argv.slice(2);
const known = ["check", "build", ...suites.map((suite) => suite.name), "quickstart"];
for (const name of chosen)
  if (!known.includes(name)) throw new Error(`no suite "${name}": one of ${known.join(", ")}`);
const wanted = (name: string) => chosen.length === 0 || chosen.includes(name);

const junitDir = join(top, "build/junit");
const logDir = join(top, "build/logs");
rmSync(junitDir, { recursive: true, force: true });
mkdirSync(junitDir, { recursive: true });
mkdirSync(logDir, { recursive: true });

if (wanted("check")) await runChecks();
if (
  chosen.length === 0 ||
  suites.some((suite) => suite.built && wanted(suite.name)) ||
  wanted("quickstart")
) {
  await single("build", ["node_modules/.bin/bun", "scripts/build.ts"], 5 * minute);
}
for (const suite of suites) if (wanted(suite.name)) await runSuite(suite);
if (wanted("quickstart")) await runQuickstart();

if (reasons.length > 0) console.log("");
for (const reason of reasons) console.log(reason);
console.log("");
process.exitCode = total.failed > 0 ? 1 : 0;
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);

async function runChecks(): Promise<void> {
  for (const [name, command] of Object.entries(checks)) {
    const done = await runCheck(command);
    add(
      `check: ${name}`,
      { passed: done.code === 0 ? 1 : 0, failed: done.code === 0 ? 0 : 1, skipped: 0 },
      done.ms,
    );
    if (done.code !== 0) console.log(indent(head(done.output, 60)));
  }
}

/** One program that counts as one test. */
async function single(name: string, command: readonly string[], timeoutMs: number): Promise<void> {
  const log = join(logDir, `${name}.log`);
  const done = await run(command, { timeoutMs, log });
  const good = done.code === 0;
  add(name, { passed: good ? 1 : 0, failed: good ? 0 : 1, skipped: 0 }, done.ms);
  if (!good) console.log(indent(`${ending(done.code, timeoutMs)}\n${tail(done.output, 60)}`));
}

async function runSuite(suite: Suite): Promise<void> {
  const folders = suite.folders.filter((folder) => existsSync(join(top, folder)));
  if (folders.length === 0) return;
  const files = folders.flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: top })).sort();
  if (files.length === 0) {
    add(suite.name, { passed: 0, failed: 1, skipped: 0 }, 0);
    return console.log(indent(`no *.test.ts file in ${folders.join(", ")}`));
  }
  const xml = join(junitDir, `${suite.name}.xml`);
  const skips = join(junitDir, `${suite.name}.skips`);
  const paths = files.map((file) => `./${file}`);
  const options = [
    `--timeout=${suite.testTimeoutMs ?? 2 * minute}`,
    "--reporter=junit",
    `--reporter-outfile=${xml}`,
  ];
  const done = await run(["node_modules/.bin/bun", "test", ...options, ...paths], {
    timeoutMs: suite.timeoutMs,
    log: join(logDir, `${suite.name}.log`),
    env: { GANTRY_SKIP_LOG: skips },
  });
  const report = existsSync(xml) ? parseJunit(readFileSync(xml, "utf8")) : undefined;
  const counts: Counts = {
    passed: report?.passed ?? 0,
    failed: report?.failed ?? 0,
    skipped: report?.skipped ?? 0,
  };
  const ran = counts.passed + counts.failed + counts.skipped;
  // Zero tests, a crash, a hang, or an error outside every test: the report alone would call it good.
  const broken = report === undefined || ran === 0 || (done.code !== 0 && counts.failed === 0);
  if (broken) counts.failed++;
  add(suite.name, counts, done.ms);
  const failures = report?.failures ?? [];
  for (const failure of failures.slice(0, shownFailures))
    console.log(indent(`${failure.name}\n${indent(head(failure.text, 40))}`));
  if (failures.length > shownFailures) {
    console.log(indent(`… and ${failures.length - shownFailures} more: build/logs/${suite.name}.log`));
  }
  if (broken)
    console.log(indent(`${ending(done.code, suite.timeoutMs)}, ${ran} tests\n${tail(done.output, 60)}`));
  gatherReasons(suite.name, skips, counts.skipped);
}

async function runQuickstart(): Promise<void> {
  if (!existsSync(join(top, "scripts/quickstart.ts"))) return;
  if (process.getuid?.() !== 0) {
    add("quickstart", { passed: 0, failed: 0, skipped: 1 }, 0);
    reasons.push("quickstart: 1 skipped: needs root");
    return;
  }
  await single("quickstart", ["node_modules/.bin/bun", "scripts/quickstart.ts"], 5 * minute);
}

/** Reads what test/lib/needs.ts wrote down, a line for each reason that was met. */
function gatherReasons(suite: string, path: string, skipped: number): void {
  if (skipped === 0) return;
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  const why = lines.length > 0 ? [...new Set(lines)].join("; ") : `see build/logs/${suite}.log`;
  reasons.push(`${suite}: ${skipped} skipped: ${why}`);
}

function add(name: string, counts: Counts, ms: number): void {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  const seconds = `${(ms / 1000).toFixed(1)} s`;
  const word = counts.failed > 0 ? "FAIL" : "ok";
  const sum = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
  console.log(`${word.padEnd(5)}${name.padEnd(24)}${seconds.padStart(8)}   ${sum}`);
}

function ending(code: number | undefined, timeoutMs: number): string {
  return code === undefined ? `stopped after ${timeoutMs / 1000} s` : `exit status ${code}`;
}

function head(text: string, lines: number): string {
  const all = text.trimEnd().split("\n");
  return [...all.slice(0, lines), ...(all.length > lines ? [`… ${all.length - lines} more lines`] : [])].join(
    "\n",
  );
}

function tail(text: string, lines: number): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "     ");
}
