import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import test from "node:test";
import { ownerState, ownToken } from "./owner.ts";

test("this process lives", () => {
  assert.equal(ownerState(ownToken()), "alive");
});

test("a process of an earlier boot, a reused pid and a pid that is not there are dead", () => {
  const [pid, start, namespace, boot] = ownToken().split("-");
  assert.equal(ownerState(`${pid}-${start}-${namespace}-00000000`), "dead");
  assert.equal(ownerState(`${pid}-1-${namespace}-${boot}`), "dead");
  assert.equal(ownerState(`4194304-1-${namespace}-${boot}`), "dead");
});

test("a process of another pid namespace and what is no token are unknown", () => {
  const [pid, start, , boot] = ownToken().split("-");
  assert.equal(ownerState(`${pid}-${start}-1-${boot}`), "unknown");
  for (const text of ["", "idle", "1-2-3", "a-b-c-d"]) assert.equal(ownerState(text), "unknown");
});

test("a child is alive until it has ended", async () => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  await once(child, "spawn");
  const [, , namespace, boot] = ownToken().split("-");
  const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const token = `${child.pid}-${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}-${namespace}-${boot}`;
  assert.equal(ownerState(token), "alive");
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.equal(ownerState(token), "dead");
});
