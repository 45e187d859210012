/**
 * The cases of other OCI runtimes (test/cli/runtimes.test.ts) once more where cgroup v2 is all there is, and crun with
 * them, which takes no machine that has some controllers on v1 and some on v2.
 */
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { bootDebian } from "./debian.ts";
import { type Machine, machineMissing } from "./machine.ts";
import { type SuiteRun, startFiles } from "./suite-run.ts";
import { withSuiteTree } from "./suite-tree.ts";

const skip = machineMissing() || needs("root", gantryOciProgram);

/** The slowest first: two run at a time. */
const runtimes = ["runc", "crun", "gantry-oci", "gantry"];

/** Overlays whose layers are mapped: Debian's kernel is older. */
const known = /^needs linux 6\.15$/;

let vm: Machine;
let run: SuiteRun;

before(async () => {
  if (skip) return;
  vm = await withSuiteTree((tree) => bootDebian({ init: "busybox", tree }));
  const path = "test/cli/runtimes.test.ts";
  const files = runtimes.map((name) => ({ name, path, only: `^${name}:` }));
  run = await startFiles(vm, files, { GANTRY_TEST_SLOW: "1" });
});

after(async () => {
  await vm?.[Symbol.asyncDispose]();
});

for (const name of runtimes)
  test(`on cgroup v2 alone: the cases of ${name} pass`, { skip, timeout: 30 * 60_000 }, async () => {
    const { passed, failed, failures, skipped, log } = await run.outcome(name);
    const told = failures.map((failure) => `${failure.name}\n${failure.text}`).join("\n");
    assert.equal(failed, 0, `${told}\n${log}`);
    assert.ok(passed > 20, `${passed} tests ran\n${log}`);
    assert.deepEqual(
      skipped.filter((reason) => !known.test(reason)),
      [],
      "tests were skipped",
    );
  });

test("on cgroup v2 alone: nothing is left after it", { skip, timeout: 120_000 }, async () => {
  const { stdout } = await vm.run(
    "pgrep -a gantry-executor; pgrep -a crun; pgrep -a runc; ls -A /run/crun /run/runc",
  );
  assert.equal(stdout, "");
});
