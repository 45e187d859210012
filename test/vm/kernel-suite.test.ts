/**
 * The kernel suite once more where cgroup v2 is all there is, with Debian's runc as the reference there as well: in a
 * machine whose first process is busybox, and in one where systemd makes the cgroups of either runtime.
 */
import assert from "node:assert/strict";
import { basename } from "node:path";
import test, { after, before, describe } from "node:test";
import { parseJunit } from "../../scripts/junit.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { bootDebian } from "./debian.ts";
import { type Machine, machineMissing } from "./machine.ts";
import { withSuiteTree } from "./suite-tree.ts";

const skip = machineMissing() || needs("root", gantryOciProgram);

/** What holds wherever cgroups are; other files look for v1 hierarchies at their places, or boot a machine themselves. */
const files = ["container", "further", "lifecycle"].map((name) => `test/kernel/${name}.test.ts`);

const fileMs = 30 * 60_000;

for (const { name, init, cgroups } of [
  { name: "cgroup v2 alone", init: "busybox", cgroups: "cgroupfs" },
  { name: "cgroups made by systemd", init: "systemd", cgroups: "systemd" },
] as const)
  describe(name, () => {
    let vm: Machine;
    before(async () => {
      if (!skip) vm = await withSuiteTree((tree) => bootDebian({ init, tree }));
    });
    after(async () => {
      await vm?.[Symbol.asyncDispose]();
    });

    for (const file of files)
      test(`${name}: ${basename(file)} passes`, { skip, timeout: fileMs }, async () => {
        const bun = "/opt/gantry/node_modules/.bin/bun test --timeout=240000";
        const report = "--reporter=junit --reporter-outfile=/tmp/report.xml";
        const { stdout, stderr } = await vm.run(
          `cd /opt/gantry; rm -f /tmp/report.xml
           export GANTRY_TEST_CGROUPS=${cgroups} GANTRY_TEST_SLOW=1 GANTRY_SKIP_LOG=/tmp/skips
           ${bun} ${report} ./${file} > /tmp/log 2>&1 || tail -n 60 /tmp/log >&2
           cat /tmp/report.xml`,
          { timeoutMs: fileMs },
        );
        assert.ok(stdout.includes("<testsuites"), stderr);
        const { passed, failed, failures } = parseJunit(stdout);
        const told = failures.map((failure) => `${failure.name}\n${failure.text}`).join("\n");
        assert.equal(failed, 0, `${told}\n${stderr}`);
        assert.ok(passed > 0, `no test of ${file} ran\n${stderr}`);
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
