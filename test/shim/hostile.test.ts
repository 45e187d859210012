/** Clients that say anything at all, in any pieces: the shim goes on, in the memory that it has. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { encodeFrame } from "../../src/launch/frames.ts";
import { encodeRequest, type Request } from "../../src/launch/messages.ts";
import { needs } from "../lib/needs.ts";
import { start, withDir } from "./container.ts";
import { logged, memoryOf, sanitized, shimPid } from "./reading.ts";

/** Random numbers that a failure can be repeated with. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomFrame(random: (below: number) => number): Uint8Array {
  const bytes = (length: number) => Uint8Array.from({ length }, () => random(256));
  const choices: readonly (() => Uint8Array)[] = [
    () =>
      encodeRequest({ kind: "attach", stdin: random(2) > 0, stdout: random(2) > 0, stderr: random(2) > 0 }),
    () => encodeRequest({ kind: "attach", stdout: true, stdin: true }),
    () => encodeRequest({ kind: "stdin", bytes: bytes(random(3000)) }),
    () =>
      encodeRequest({ kind: "signal", signal: [0, 0, 28, 70, 0xffffffff][random(5)]!, all: random(2) > 0 }),
    () => encodeRequest({ kind: "wait" } satisfies Request),
    () => encodeRequest({ kind: "resize", rows: random(65536), columns: random(65536) }),
    () => encodeFrame(random(256), bytes(random(40))),
    () => bytes(random(30)),
  ];
  return choices[random(choices.length)]!();
}

test(
  "four seconds of random clients leave the container, its log and the shim as they were",
  {
    skip: needs("root"),
    timeout: 60_000,
  },
  () =>
    withDir(async (dir) => {
      const seed = Date.now() >>> 0;
      const random = generator(seed);
      const enough = join(dir, "enough");
      // goes on until there were clients enough, however slow the machine
      const script = `i=0; until [ $i -ge 300 ] && [ -e ${enough} ]; do i=$((i+1)); echo line $i; sleep 0.01; done
        cat > /dev/null & exit 11`;
      const { task } = await start(dir, ["sh", "-c", script], { stdin: true });
      const before = memoryOf(shimPid(dir)).rss;
      const end = Date.now() + 4000;
      let connections = 0;
      let most = 0;
      const client = async () => {
        while ((Date.now() < end || connections <= 100) && task.state().kind === "running") {
          const socket = connect(join(dir, "shim.sock"));
          connections++;
          const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
          socket.on("error", () => {});
          if (random(2) > 0) socket.resume();
          for (let frames = random(12); frames > 0; frames--) {
            const frame = randomFrame(random);
            const cut = random(3) > 0 ? frame.length : random(frame.length + 1);
            socket.write(frame.subarray(0, cut));
            if (random(4) === 0) await pause(random(5));
            socket.write(frame.subarray(cut));
          }
          if (random(3) === 0) socket.end();
          await pause(random(20));
          socket.destroy();
          await closed;
          if (task.state().kind === "running") most = Math.max(most, memoryOf(shimPid(dir)).rss);
        }
      };
      await Promise.all(Array.from({ length: 12 }, client));
      writeFileSync(enough, "");
      assert.equal((await task.wait()).code, 11, `seed ${seed}`);
      const lines = logged(dir).split("\n").length - 1;
      assert.ok(lines >= 300, `${lines} lines`);
      assert.equal(
        logged(dir),
        Array.from({ length: lines }, (_, index) => `line ${index + 1}\n`).join(""),
        `seed ${seed}`,
      );
      assert.ok(connections > 100, `${connections} connections`);
      if (!sanitized) assert.ok(most < before + 700, `grew from ${before} to ${most} KiB (seed ${seed})`);
    }),
);
