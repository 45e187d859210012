/** Cases that are one config, one script, and what it must print: the same from every runtime that knows the matter. */
import assert from "node:assert/strict";
import test from "node:test";
import { hasCrun, type Json, type Runtime, runOnce, unready } from "./bundle.ts";

/** What a container must show, with either runtime. */
export interface Case {
  readonly name: string;
  readonly script: string;
  readonly patch?: Json | ((files: string) => Json);
  /** Whole stdout without the last line end, or a pattern. */
  readonly stdout?: string | RegExp;
  readonly code?: number;
  /** What stderr must say. */
  readonly stderr?: RegExp;
  /** Debian's runc 1.1.5 unless told; crun 1.8.1 for what that does not know. */
  readonly reference?: "runc" | "crun";
  /** Only ours: what neither knows, or does worse. */
  readonly withoutReference?: string;
  readonly skip?: string | false;
}

function runtimesFor({ withoutReference, reference = "runc" }: Case): readonly Runtime["name"][] {
  if (withoutReference !== undefined || (reference === "crun" && !hasCrun)) return ["gantry-oci"];
  return ["gantry-oci", reference];
}

function check(found: string, wanted: string | RegExp | undefined, who: string): void {
  const text = found.trimEnd();
  if (typeof wanted === "string") assert.equal(text, wanted, who);
  else if (wanted) assert.match(text, wanted, who);
}

export function testCases(cases: readonly Case[]): void {
  for (const one of cases)
    test(one.name, { skip: unready || (one.skip ?? false) }, async () => {
      const { script, patch = {}, stdout, stderr, code = 0 } = one;
      const runtimes = runtimesFor(one);
      const outcomes = await Promise.all(runtimes.map((runtime) => runOnce(runtime, script, patch)));
      for (const [index, outcome] of outcomes.entries()) {
        const who = `${runtimes[index]} printed ${JSON.stringify(outcome.stdout)} and on stderr ${JSON.stringify(outcome.stderr)}`;
        check(outcome.stdout, stdout, who);
        check(outcome.stderr, stderr, who);
        assert.equal(outcome.code, code, who);
      }
    });
}
