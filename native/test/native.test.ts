/** Runs the C tests of run.sh; each part builds with the sanitizers, so the deadline is generous. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { command } from "../../test/lib/command.ts";
import { needs } from "../../test/lib/needs.ts";

const script = join(import.meta.dirname, "run.sh");

for (const part of ["log", "plan", "shim"])
  test(`C tests of ${part}, under AddressSanitizer and UndefinedBehaviorSanitizer`, {
    skip: needs("cc"),
    timeout: 120_000,
  }, async () => {
    const { code, stdout, stderr } = await command([script, part], {
      env: { FUZZ_SECONDS: "8" },
      timeoutMs: 110_000,
    });
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.match(stdout, /^\d+ passed, 0 failed$/m);
  });
