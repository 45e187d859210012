/**
 * Test files run inside a Debian machine, two at a time: a test mostly waits for one process, and the machine has two
 * processors. Their outcomes are asked for one by one.
 */
import assert from "node:assert/strict";
import { type JunitReport, parseJunit } from "../../scripts/junit.ts";
import type { Machine } from "./machine.ts";

export interface FileOutcome extends Omit<JunitReport, "skipped"> {
  /** Reasons why tests of it were skipped. */
  readonly skipped: readonly string[];
  /** The end of what its run printed. */
  readonly log: string;
}

export interface SuiteRun {
  /** Waits until this file is done. */
  outcome(file: string): Promise<FileOutcome>;
}

const fileMs = 20 * 60_000;

export interface SuiteFile {
  /** By which its outcome is asked for. */
  readonly name: string;
  /** From the top of the tree. */
  readonly path: string;
  /** Of its tests, those whose names match; a pattern of letters, `^` and `:`. */
  readonly only?: string;
}

/**
 * Runs the tests of $2 that match $3, and leaves a folder $1 with log, junit report and reasons of skips; the folder gets
 * its name at the end.
 */
const runOne = `#!/bin/sh
dir=/tmp/runs/$1.part
mkdir -p $dir
cd /opt/gantry
GANTRY_SKIP_LOG=$dir/skips node_modules/.bin/bun test --timeout=240000 --reporter=junit \\
	--reporter-outfile=$dir/report -t "$3" ./$2 > $dir/log 2>&1
mv $dir /tmp/runs/$1
`;

/** A file of the kernel suite. */
const kernelFile = (name: string): SuiteFile => ({ name, path: `test/kernel/${name}.test.ts` });

/** `files` are names of the kernel suite or files of others, in the order in which they are begun. */
export async function startFiles(
  vm: Machine,
  files: readonly (string | SuiteFile)[],
  variables: Readonly<Record<string, string>>,
): Promise<SuiteRun> {
  const words = files
    .map((file) => (typeof file === "string" ? kernelFile(file) : file))
    .flatMap(({ name, path, only = "." }) => [name, path, `'${only}'`]);
  const exports = Object.entries(variables).map(([name, value]) => `export ${name}=${value}`);
  const { code, stderr } = await vm.run(
    `mkdir /tmp/runs && cat > /tmp/run-one <<'END' && chmod +x /tmp/run-one
${runOne}END
     ${exports.join("\n")}
     printf '%s\\n' ${words.join(" ")} | xargs -P 2 -n 3 /tmp/run-one > /tmp/runs.log 2>&1 3>&- &`,
  );
  assert.equal(code, 0, stderr);
  return {
    async outcome(file) {
      const at = `/tmp/runs/${file}`;
      const { stdout: report } = await vm.run(`until [ -d ${at} ]; do sleep 0.2; done; cat ${at}/report`, {
        timeoutMs: fileMs,
      });
      const { stdout: log } = await vm.run(`tail -n 60 ${at}/log`);
      const { stdout: skips } = await vm.run(`[ ! -e ${at}/skips ] || sort -u ${at}/skips`);
      assert.ok(report.includes("<testsuites"), log);
      return { ...parseJunit(report), skipped: skips.split("\n").filter(Boolean), log };
    },
  };
}
