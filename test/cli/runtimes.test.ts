/** The same containers through other OCI runtimes: one table of cases, run by each of them. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parseJunit } from "../../scripts/junit.ts";
import { hasCrun } from "../kernel/bundle.ts";
import { command } from "../lib/command.ts";
import { needs, programPath } from "../lib/needs.ts";
import { gantryOciProgram, withSandbox } from "../lib/sandbox.ts";
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
/** On a hybrid machine: crun is content with the hierarchies of v1, if it does not see that of v2. */
const unified = "/sys/fs/cgroup/unified";
const isHidden = !hasCrun && !needs("root", "crun", unified);
const runtimes: readonly (readonly [runtime: string, skip: string | false])[] = [
  ["gantry", root],
  ["runc", root || needs("runc")],
  ...(isHidden ? [] : ([["crun", root || needs("crun")]] as const)),
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

if (isHidden)
  test(
    "crun: the same cases, in mounts where this machine has no cgroup v2",
    { timeout: 600_000 * patience },
    () =>
      withSandbox(async ({ dir }) => {
        const report = join(dir, "report.xml");
        const words = ["test", "--timeout", "240000", "--reporter", "junit", "--reporter-outfile", report];
        const argv = [process.execPath, ...words, import.meta.filename, "-t", "^crun:"];
        const unshare = ["unshare", "--mount", "sh", "-c", `umount ${unified} && exec "$@"`, "sh"];
        const { stderr } = await command([...unshare, ...argv], { timeoutMs: 600_000 });
        assert.ok(existsSync(report), stderr);
        const { passed, failed, failures } = parseJunit(readFileSync(report, "utf8"));
        const told = failures.map((failure) => `${failure.name}\n${failure.text}`).join("\n");
        assert.deepEqual([passed, failed], [cases.length, 0], `${told}\n${stderr}`);
      }),
  );

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
