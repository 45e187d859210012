/** The tiny init for --init: process 1 that hands signals on, reaps, and ends as its program ends. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test from "node:test";
import { findExecutor } from "../../src/launch/executor.ts";
import { command, ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";

const root = { skip: needs("root", "unshare"), timeout: 30_000 };
const inside = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

function init(...program: readonly string[]): readonly string[] {
  return [...inside, findExecutor(), "init", "--", ...program];
}

test("init ends with the status of its program", root, async () => {
  assert.equal((await command(init("sh", "-c", "exit 3"))).code, 3);
});

test("init ends with 128 + n when a signal ended its program", root, async () => {
  assert.equal((await command(init("sh", "-c", "kill -9 $$"))).code, 137);
});

test("a program that is not there ends in 127, one that is no program in 126", root, async () => {
  const missing = await command(init("/no/such/program"));
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /gantry-init: exec \/no\/such\/program: No such file or directory/);
  assert.equal((await command(init("/etc/passwd"))).code, 126);
  assert.equal((await command([...inside, findExecutor(), "init", "--"])).code, 127);
});

test("init reaps what its program leaves behind", root, async () => {
  // init, this shell, and the three of the pipe: with an orphan that is not reaped there are more
  const few = `[ "$(ls /proc | grep -c "^[0-9]")" -le 5 ]`;
  const script = `
    for i in 1 2 3 4 5; do (sh -c "exit 0" & exit 0); done
    i=0; until ${few} || [ $i -gt 500 ]; do i=$((i + 1)); sleep 0.02; done
    grep -l "^State:.Z" /proc/[0-9]*/status | wc -l`;
  const { stdout } = await command(init("sh", "-c", script));
  assert.equal(stdout.trim(), "0");
});

test("init hands signals on", root, async () => {
  const script =
    "trap 'echo usr1' USR1; trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.02; done";
  const child = spawn("unshare", [...init("sh", "-c", script).slice(1)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (bytes) => {
    text += bytes;
  });
  await until("the program to be ready", () => text === "ready\n");
  const [pid] = (await command(["pgrep", "-P", String(child.pid)])).stdout.trim().split("\n").map(Number);
  process.kill(pid!, "SIGUSR1");
  await until("the first signal", () => text === "ready\nusr1\n");
  process.kill(pid!, "SIGTERM");
  assert.equal(await ended(child), 9);
  assert.equal(text, "ready\nusr1\nbye\n");
});
