/** The same containers through other OCI runtimes: one table of cases, run by each of them. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { hasCrun } from "../kernel/bundle.ts";
import { command } from "../lib/command.ts";
import { needs, programPath, skipped } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { patience } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";
import { execs } from "./runtimes/exec.ts";
import { killings } from "./runtimes/killed.ts";
import { lives } from "./runtimes/life.ts";
import { sharing } from "./runtimes/shared.ts";
import { starts } from "./runtimes/start.ts";
import { terminals } from "./runtimes/terminal.ts";
import { mountsBelow, remembered } from "./runtimes/trial.ts";

const root = needs("root");
const crun = "crun refuses this machine's hybrid cgroups, or is not here";
const runtimes: readonly (readonly [runtime: string, skip: string | false])[] = [
  ["gantry", root],
  ["runc", root || needs("runc")],
  ["crun", root || (hasCrun ? false : skipped(crun))],
  [gantryOciProgram, root || needs(gantryOciProgram)],
];
const cases = [...starts, ...terminals, ...execs, ...lives, ...sharing, ...killings];

for (const [runtime, missing] of runtimes)
  for (const { title, needs: wanted = [], run } of cases) {
    const name = runtime.split("/").at(-1)!;
    const skip = missing || needs(...wanted);
    test(`${name}: ${title}`, { skip, timeout: 120_000 * patience }, () =>
      withBusybox(async (box) => {
        const options = ["--runtime", runtime];
        const sh = (script: string, ...more: string[]) =>
          box.must(["run", "--rm", ...options, ...more, "busybox", "sh", "-c", script]);
        await run({ box, runtime, name, options, sh });
        assert.deepEqual(remembered(box), []);
        assert.deepEqual(mountsBelow(box.dir), []);
      }),
    );
  }

test(
  "runtimes have names in the settings; one that is unknown is told in docker's words",
  { skip: root || needs("runc") },
  () =>
    withBusybox(async (box) => {
      const settings = join(box.dir, "settings.json");
      writeFileSync(settings, JSON.stringify({ runtimes: { mine: programPath("runc") } }));
      const env = { GANTRY_SETTINGS: settings };
      assert.equal(
        (await box.gantry(["run", "--rm", "--runtime", "mine", "busybox", "true"], { env })).code,
        0,
      );
      const unknown = await box.gantry(["run", "--rm", "--runtime", "nosuch", "busybox", "true"], { env });
      assert.equal(unknown.code, 125);
      assert.equal(unknown.stderr.split("\n")[0], "gantry: unknown or invalid runtime name: nosuch");
      const missing = await box.gantry([
        "run",
        "--rm",
        "--runtime",
        "/nonexistent/runtime",
        "busybox",
        "true",
      ]);
      assert.equal(missing.code, 125);
      assert.match(missing.stderr, /OCI runtime create failed: \/nonexistent\/runtime/);
      const plan = await box.must(["explain", "run", "--runtime", "runc", "busybox", "true"]);
      assert.match(
        plan,
        /run-runtime path=\S*runc args=\[\S*runc --root \S+\/runtimes\/runc .*create --bundle/,
      );
      assert.match(plan, /adopt-container pidFile=/);
      assert.equal(await box.must(["ps", "-aq"]), "");
    }),
);

test(
  "what runc itself remembers is nothing, once a container has ended",
  { skip: root || needs("runc") },
  () =>
    withBusybox(async (box) => {
      await box.must(["run", "-d", "--name", "one", "--runtime", "runc", "busybox", "sleep", "600"]);
      const list = () => command(["runc", "--root", join(box.state, "runtimes/runc"), "list", "-q"]);
      const id = await box.must(["inspect", "-f", "{{.Id}}", "one"]);
      assert.equal((await list()).stdout.trim(), id);
      await box.must(["rm", "-f", "one"]);
      assert.equal((await list()).stdout.trim(), "");
    }),
);
