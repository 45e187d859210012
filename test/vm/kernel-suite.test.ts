/**
 * The kernel suite once more where cgroup v2 is all there is, with Debian's runc as the reference there as well: whole in
 * a machine whose first process is busybox, and what has to do with cgroups in one where systemd makes those of either
 * runtime.
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { basename } from "node:path";
import test, { after, before, describe } from "node:test";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram, top } from "../lib/sandbox.ts";
import { bootDebian } from "./debian.ts";
import { type Machine, machineMissing } from "./machine.ts";
import { type SuiteRun, startFiles } from "./suite-run.ts";
import { withSuiteTree } from "./suite-tree.ts";

const skip = machineMissing() || needs("root", gantryOciProgram);

const present = globSync("test/kernel/*.test.ts", { cwd: top }).map((file) => basename(file, ".test.ts"));

/** Files that do not run in the machine, and why. */
const elsewhere: Readonly<Record<string, string>> = {
  v2: "boots a machine",
  "v2-living": "boots a machine",
  "exec-v2": "boots a machine",
  checkpoint: "boots a machine",
  "checkpoint-options": "boots a machine",
  "checkpoint-pages": "boots a machine",
};

/** Tests that may be skipped there, by the reason that they give. */
const skips: readonly RegExp[] = [
  // exec-v2 has the same for v2
  /^needs a v1 hierarchy of pids$/,
  // its cgroups stand for the groups of resctrl: v2 has no file `tasks`
  /^needs \/sys\/fs\/cgroup\/freezer\/tasks$/,
  // rootless-cgroups has one for v2 beside them
  /^needs \/sys\/fs\/cgroup\/memory\/cgroup\.procs$/,
  // it is no part of the machine, and asks nothing of cgroups
  /^needs conmon$/,
  // what is told of such a container there is told by luck
  /^systemd takes a cgroup away as soon as it is empty/,
  // weighted interleave, and overlays whose layers are mapped: Debian's kernel is older
  /^needs linux 6\.(9|15)$/,
];

/** The longest first, so that the lanes end together. */
const whole = [
  ...["rootless", "fields", "exec", "container", "lifecycle", "namespaces", "rootless-cgroups", "inherited"],
  ...["foreground", "surroundings", "update", "hooks", "pause"],
];

/** Where the driver makes no difference, or cgroups are made by no driver, once is enough; checkpoints are in systemd.test.ts. */
const withSystemd = [
  ...["update", "exec", "terminal", "exec-terminal", "container", "lifecycle", "foreground", "exec-further"],
  ...["events", "pause", "hooks", "further", "ps", "labels", "seccomp-listener", "resources"],
];

const machines = [
  {
    name: "cgroup v2 alone",
    init: "busybox",
    cgroups: "cgroupfs",
    files: [...whole, ...present.filter((name) => !whole.includes(name) && !(name in elsewhere))],
  },
  { name: "cgroups made by systemd", init: "systemd", cgroups: "systemd", files: withSystemd },
] as const;

test("every file of the kernel suite runs in the machine, or it is said why not", () => {
  const told = [...machines[0].files, ...Object.keys(elsewhere)];
  assert.deepEqual(told.sort(), present.sort());
});

for (const { name, init, cgroups, files } of machines)
  describe(name, () => {
    let vm: Machine;
    let run: SuiteRun;
    before(async () => {
      if (skip) return;
      vm = await withSuiteTree((tree) => bootDebian({ init, tree }));
      run = await startFiles(vm, files, { GANTRY_TEST_CGROUPS: cgroups, GANTRY_TEST_SLOW: "1" });
    });
    after(async () => {
      await vm?.[Symbol.asyncDispose]();
    });

    for (const file of files)
      test(`${name}: ${file} passes`, { skip, timeout: 30 * 60_000 }, async () => {
        const { passed, failed, failures, skipped, log } = await run.outcome(file);
        const told = failures.map((failure) => `${failure.name}\n${failure.text}`).join("\n");
        assert.equal(failed, 0, `${told}\n${log}`);
        assert.ok(passed > 0, `no test of ${file} ran\n${log}`);
        const strange = skipped.filter((reason) => !skips.some((known) => known.test(reason)));
        assert.deepEqual(strange, [], "tests were skipped");
      });

    if (init === "busybox")
      test(`${name}: the systemd driver is refused in a sentence, and leaves nothing`, { skip }, async () => {
        const { code, stdout, stderr } = await vm.run(
          `mkdir -p /tmp/none/rootfs && cd /tmp/none && gantry-oci spec &&
           sed -i 's/"terminal": true/"terminal": false/' config.json
           gantry-oci --systemd-cgroup run none; echo $?; ls -A /run/gantry-oci`,
        );
        assert.deepEqual([code, stdout], [0, "1\n"]);
        assert.match(stderr, /systemd not running on this host, cannot use systemd cgroups manager/);
      });

    test(`${name}: nothing is left after it`, { skip, timeout: 120_000 }, async () => {
      const { stdout } = await vm.run(
        `pgrep -a gantry-executor
         [ ${init} = busybox ] || systemctl list-units --all --plain --no-legend 'gantry-gantrytest*'`,
      );
      assert.equal(stdout, "");
    });
  });
