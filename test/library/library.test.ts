/** The built library under Bun and under Node: the same programs, the same results. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { importBusybox } from "../cli/busybox.ts";
import { command, must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { type Sandbox, top, withSandbox } from "../lib/sandbox.ts";

const skip = needs("root", join(top, "dist/lib/index.js"));
const runtimes = ["bun", "node"] as const;
const programs = join(import.meta.dirname, "programs");

function run(runtime: (typeof runtimes)[number], box: Sandbox, args: readonly string[]) {
  return command([join(top, "node_modules/.bin", runtime), ...args], {
    cwd: top,
    env: { ...box.env, GANTRY_ROOT: box.root, GANTRY_STATE: box.state },
  });
}

const scenarios = (
  await must([join(top, "node_modules/.bin/bun"), join(programs, "scenarios.mjs"), "--list"]).catch(() => "")
)
  .split("\n")
  .filter(Boolean);

for (const runtime of runtimes) {
  test(`a program of five lines runs a container (${runtime})`, { skip }, () =>
    withSandbox(async (box) => {
      await importBusybox(box);
      const { code, stdout, stderr } = await run(runtime, box, [join(programs, "five-lines.mjs")]);
      assert.deepEqual([code, stdout, stderr], [0, "hi\n 0\n", ""]);
    }),
  );

  for (const name of scenarios) {
    test(`the library in a scenario: ${name} (${runtime})`, { skip }, () =>
      withSandbox(async (box) => {
        await importBusybox(box);
        const { code, stdout, stderr } = await run(runtime, box, [join(programs, "scenarios.mjs"), name]);
        assert.equal(stderr, "");
        assert.deepEqual([code, stdout], [0, "ok\n"]);
      }),
    );
  }
}
