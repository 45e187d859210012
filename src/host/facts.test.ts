import assert from "node:assert/strict";
import test from "node:test";
import { readHostFacts } from "./facts.ts";
import { parseLimits, parseStatus } from "./proc-self.ts";

test("the facts of this machine are those of this process", () => {
  const facts = readHostFacts();
  assert.equal(facts.uid, process.geteuid?.());
  assert.ok(facts.kernel.major >= 5, facts.kernel.release);
  assert.ok(facts.lastCapability >= 37);
  assert.ok(facts.rlimits.RLIMIT_NOFILE!.hard > 0n);
  assert.equal(Object.keys(facts.rlimits).length, 16);
  assert.equal(facts.cgroups, facts.cgroups, "is read once");
});

test("status gives effective ids and capabilities", () => {
  const text =
    "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapPrm:\t0000000000000001\nCapEff:\t000001fffeffffff\n";
  assert.deepEqual(parseStatus(text), { uid: 2, gid: 6, capabilities: 0x1fffeffffffn });
});

test("limits are read by their titles, unlimited ones as the kernel's largest number", () => {
  const text = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            20000                20000                files
Max nice priority         0                    0
something else            1                    2
`;
  assert.deepEqual(parseLimits(text), {
    RLIMIT_CPU: { soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n },
    RLIMIT_NOFILE: { soft: 20000n, hard: 20000n },
    RLIMIT_NICE: { soft: 0n, hard: 0n },
  });
});
