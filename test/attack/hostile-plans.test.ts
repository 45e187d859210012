/**
 * Bytes on the executor's descriptor that are no plan, or a plan that breaks a rule: refused whole, so that not
 * even its first step has run. (native/test fuzzes the reader itself, under sanitizers.)
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, truncateSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { encodeFrame } from "../../src/launch/frames.ts";
import { decodeFailure } from "../../src/launch/report.ts";
import { encodePlan } from "../../src/plan/encode.ts";
import type { Plan, Step } from "../../src/plan/plan.ts";
import { replies, requests, stageNumbers } from "../../src/plan/protocol.ts";
import { ended } from "../lib/command.ts";
import { attack, type Cell } from "./cell.ts";

interface Answer {
  readonly code: number;
  readonly bytes: Buffer;
}

/** Sends bytes to a fresh executor, closes, and waits for its end. */
async function send(cell: Cell, bytes: Uint8Array): Promise<Answer> {
  const child = spawn(cell.executor, ["dialogue", "3"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    env: { GANTRY_TEST_DIR: cell.dir },
  });
  const socket = child.stdio[3] as Socket;
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => {});
  socket.end(bytes);
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const code = await ended(child);
  clearTimeout(timer);
  return { code, bytes: Buffer.concat(chunks) };
}

const plan = (bytes: Uint8Array) => encodeFrame(requests.plan, bytes);

/** Says that the whole-plan check refused it. */
function assertRefused({ code, bytes }: Answer, what: string): void {
  assert.equal(code, 1, what);
  assert.equal(bytes[4], replies.failed, what);
  assert.equal(decodeFailure(bytes.subarray(8)).stage, stageNumbers.check, what);
}

/** A plan whose first act is to make a file that tells. */
function telling(cell: Cell, rest: Partial<Plan> = {}): { readonly canary: string; readonly plan: Plan } {
  const canary = join(cell.folder(), "ran");
  const hook: Step = {
    op: "run-hook",
    where: "",
    path: "/bin/touch",
    args: ["touch", canary],
    env: [],
    state: "{}",
    timeoutMs: 0,
  };
  return {
    canary,
    plan: { host: [hook, ...(rest.host ?? [])], child: rest.child ?? [], cleanup: rest.cleanup ?? [] },
  };
}

attack("the attack is real: a good plan runs its first step", async (cell) => {
  const good = telling(cell);
  const { code } = await send(cell, plan(encodePlan(good.plan)));
  assert.equal(code, 0);
  assert.equal(existsSync(good.canary), true);
});

attack("a plan that is cut short anywhere runs nothing", async (cell) => {
  const { canary, plan: good } = telling(cell, {
    host: [{ op: "make-pipe", where: "", read: "a", write: "b" }],
  });
  const bytes = encodePlan(good);
  for (let length = 0; length < bytes.length; length += Math.max(4, Math.floor(bytes.length / 40)))
    assertRefused(await send(cell, plan(bytes.subarray(0, length))), `${length} bytes`);
  // a frame that promises more than comes
  const frame = plan(bytes);
  for (const length of [0, 1, 7, 8, 9, frame.length - 1]) {
    const { code, bytes: answer } = await send(cell, frame.subarray(0, length));
    assert.equal(code, 1, `${length} bytes of the frame`);
    assert.equal(answer.length, 0);
  }
  assert.equal(existsSync(canary), false);
});

attack("garbage, huge counts and lengths are refused at once", async (cell) => {
  const { plan: good } = telling(cell);
  const bytes = Buffer.from(encodePlan(good));
  const started = performance.now();
  for (let round = 0; round < 8; round++)
    assertRefused(await send(cell, plan(randomBytes(1 + round * 97))), "random");
  for (const word of [0xffffffff, 0x7fffffff, 0x80000000, 0x10000, 0xfffffffc])
    for (let offset = 0; offset < bytes.length; offset += 4) {
      // the phrase may hold anything, and the numbers of the hook's time limit
      if (offset >= bytes.length - 8 || offset % 12 !== 0) continue;
      const changed = Buffer.from(bytes);
      if (changed.readUInt32LE(offset) === word) continue;
      changed.writeUInt32LE(word, offset);
      const answer = await send(cell, plan(changed));
      // a word within a text makes another good plan; a changed header never does
      if (offset < 48) assertRefused(answer, `${word.toString(16)} at ${offset}`);
      assert.ok(answer.code === 0 || answer.code === 1, `${word.toString(16)} at ${offset}: ${answer.code}`);
      assert.ok(answer.bytes[4] === replies.failed || answer.bytes[4] === replies.done);
    }
  for (const header of [
    Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]),
    Buffer.from([0, 0, 0, 0x7f, 1, 0, 0, 0]),
    randomBytes(8),
  ]) {
    const { code } = await send(cell, Buffer.concat([header, bytes]));
    assert.equal(code, 1);
  }
  assert.ok(performance.now() - started < 30_000);
});

attack("a plan that breaks one rule of order runs nothing", async (cell) => {
  const where = "";
  const clone: Step = { op: "clone", where, namespaces: 0, cgroup: undefined };
  const exec: Step = { op: "exec", where, args: ["/bin/true"], env: [] };
  const close: Step = { op: "close-descriptors", where, keep: 0 };
  const kill: Step = { op: "kill-child", where };
  const pivot: Step = { op: "pivot", where, root: "root", mode: 0 };
  const filter: Step = { op: "load-seccomp", where, flags: 0, filter: Buffer.alloc(8), listener: 0 };
  const proc: Step = { op: "open-proc", where, pids: 0, fd: "proc" };
  const pipe: Step = { op: "make-pipe", where, read: "a", write: "b" };
  const broken: Record<string, Partial<Plan>> = {
    "a child without clone": { child: [close, exec] },
    "clone without a child": { host: [clone], cleanup: [kill] },
    "exec with open descriptors": { host: [clone], child: [exec], cleanup: [kill] },
    "a child that nobody kills": { host: [clone], child: [close, exec] },
    "a step of the child on the host side": { host: [exec] },
    "a step of the host side in the child": {
      host: [clone],
      child: [{ op: "report", where, point: 1 }, close, exec],
      cleanup: [kill],
    },
    "two clones": { host: [clone, clone], child: [close, exec], cleanup: [kill] },
    "waiting for a child before there is one": {
      host: [{ op: "await-exec", where }, clone],
      child: [close, exec],
      cleanup: [kill],
    },
    "a descriptor opened after they were closed": {
      host: [clone],
      child: [close, proc, exec],
      cleanup: [kill],
    },
    "a descriptor that is not open": { host: [{ op: "close", where, fd: "nothing" }] },
    "a descriptor closed twice": {
      host: [pipe, { op: "close", where, fd: "a" }, { op: "close", where, fd: "a" }],
    },
    "a descriptor filled twice": { host: [pipe, pipe] },
    "a privileged act under the filter": {
      host: [clone],
      child: [filter, proc, close, exec],
      cleanup: [kill],
    },
    "a path in the root after pivot": {
      host: [{ op: "clone-tree", where, path: "/", recursive: 0, fd: "root" }, clone],
      child: [pivot, { op: "mask-path", where, root: "root", path: "/proc" }, close, exec],
      cleanup: [kill],
    },
    "two pivots": {
      host: [{ op: "clone-tree", where, path: "/", recursive: 0, fd: "root" }, clone],
      child: [pivot, pivot, close, exec],
      cleanup: [kill],
    },
    "a step after the last": { host: [clone], child: [close, exec, close], cleanup: [kill] },
  };
  for (const [what, parts] of Object.entries(broken)) {
    const { canary, plan: bad } = telling(cell, parts);
    assertRefused(await send(cell, plan(encodePlan(bad))), what);
    assert.equal(existsSync(canary), false, what);
  }
});

attack("a plan file that is no file, is empty or is too long is refused", async (cell) => {
  const empty = join(cell.folder(), "empty");
  writeFileSync(empty, "");
  const { canary, plan: good } = telling(cell);
  const extended = join(cell.folder(), "extended");
  writeFileSync(extended, Buffer.concat([encodePlan(good), Buffer.alloc(4)]));
  const endless = join(cell.folder(), "endless");
  writeFileSync(endless, "");
  truncateSync(endless, 2 ** 33);
  for (const path of [empty, extended, endless, "/", "/dev/null", "/dev/zero"]) {
    const fd = openSync(path, "r");
    const child = spawn(cell.executor, ["plan", "3"], {
      stdio: ["ignore", "ignore", "pipe", fd],
      env: { GANTRY_TEST_DIR: cell.dir },
    });
    const code = await ended(child);
    closeSync(fd);
    assert.equal(code, 125, path);
  }
  assert.equal(existsSync(canary), false);
});
