/** Output through a shim: to the log, to clients fast and slow, to clients that go. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isGantryError } from "../../src/base/error.ts";
import type { Attachment } from "../../src/tasks/task.ts";
import { must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { start, withDir } from "./container.ts";
import { isOver, jsonEntries, logged, memoryOf, sanitized, shimPid } from "./reading.ts";

const root = { skip: needs("root"), timeout: 120_000 };

async function collect(attachment: Attachment, stream: "stdout" | "stderr" = "stdout"): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const output of attachment.output) if (output.stream === stream) chunks.push(output.bytes);
  return Buffer.concat(chunks);
}

test("200 MB reach a slow reader whole while the shim stays below 1.5 MB", root, () =>
  withDir(async (dir) => {
    const total = 200_000_000;
    const line = "0123456789abcdef".repeat(10);
    const { task, attachment } = await start(dir, ["sh", "-c", `yes ${line} | head -c ${total}`], {
      format: "cri",
      limitBytes: 1_000_000,
      files: 2,
      attach: { stdout: true },
    });
    const pid = shimPid(dir);
    let bytes = 0;
    let most = 0;
    let chunks = 0;
    const hash = createHash("sha256");
    for await (const output of attachment!.output) {
      bytes += output.bytes.length;
      hash.update(output.bytes);
      if (++chunks % 500 === 0) {
        if (!isOver(pid)) most = Math.max(most, memoryOf(pid).rss);
        await pause(10);
      }
    }
    assert.equal(bytes, total);
    const expected = createHash("sha256");
    const block = Buffer.from(`${line}\n`.repeat(10_000));
    for (let left = total; left > 0; left -= block.length)
      expected.update(block.subarray(0, Math.min(left, block.length)));
    assert.equal(hash.digest("hex"), expected.digest("hex"));
    assert.equal((await task.wait()).code, 0);
    if (!sanitized) assert.ok(most > 0 && most < 1500, `the shim had ${most} KiB`);
    assert.ok(statSync(join(dir, "log")).size <= 1_000_300);
  }),
);

test("a client that reads nothing holds the container up, and frees it by going", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(
      dir,
      ["sh", "-c", "yes $(seq 1 200) | head -c 5000000; echo done >&2"],
      {
        attach: { stdout: true, stderr: true },
      },
    );
    await pause(300);
    assert.equal(task.state().kind, "running");
    assert.ok(!logged(dir, "stderr").includes("done"));
    await attachment![Symbol.asyncDispose]();
    assert.equal((await task.wait()).code, 0);
    assert.equal(logged(dir).length, 5_000_000);
    assert.equal(logged(dir, "stderr"), "done\n");
  }),
);

test("a program that is killed with a container attached and unread does not hold it up", root, () =>
  withDir(async (dir) => {
    const client = `
      const { start } = await import(${JSON.stringify(join(import.meta.dirname, "container.ts"))});
      const { task } = await start(${JSON.stringify(dir)}, ["sh", "-c", "yes $(seq 1 200) | head -c 5000000; sleep 0.2; exit 3"], {
        attach: { stdout: true, stdin: true, ownsStdin: true }, stdin: true,
      });
      process.stdout.write("started");
      await new Promise(() => setInterval(() => {}, 1000));`;
    const child = spawn(process.execPath, ["-e", client], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await pause(100);
    child.kill("SIGKILL");
    const { openTask } = await import("../../src/tasks/open-task.ts");
    assert.equal((await openTask(dir).wait()).code, 3);
    assert.equal(logged(dir).length, 5_000_000);
  }),
);

test("many clients each see all output from their attaching on", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(dir, ["sh", "-c", "read go; seq 1 20000; echo end >&2"], {
      stdin: true,
      attach: { stdin: true, stdout: true },
    });
    const others = await Promise.all(
      Array.from({ length: 20 }, () => task.attach({ stdout: true, stderr: true })),
    );
    await attachment!.write(Buffer.from("go\n"));
    const seen = await Promise.all([collect(attachment!), ...others.map((one) => collect(one))]);
    const expected = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join("");
    for (const one of seen) assert.equal(one.toString(), expected);
    assert.equal((await task.wait()).code, 0);
  }),
);

test("one client too many is refused with a reason, and the others go on", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(dir, ["sh", "-c", "read x; echo got $x"], {
      stdin: true,
      attach: { stdin: true, stdout: true },
    });
    const all = await Promise.all(Array.from({ length: 63 }, () => task.attach({ stdout: true })));
    await assert.rejects(task.attach({ stdout: true }), (error) => {
      assert.ok(isGantryError(error, "unavailable"), String(error));
      assert.equal(error.detail.errno, "EBUSY");
      return true;
    });
    if (!sanitized) {
      const { rss } = memoryOf(shimPid(dir));
      assert.ok(rss < 1000, `64 clients: ${rss} KiB`);
    }
    await all[0]![Symbol.asyncDispose]();
    const late = await until("a seat to be free", () => task.attach({ stdout: true }).catch(() => undefined));
    await attachment!.write(Buffer.from("it\n"));
    assert.equal((await collect(late)).toString(), "got it\n");
    assert.equal((await collect(attachment!)).toString(), "got it\n");
  }),
);

test(
  "wait gives the status while an attached client reads nothing, and that client loses nothing",
  root,
  () =>
    withDir(async (dir) => {
      // what fits the shim's ring and the pipe, so that the program can end at all
      const { task, attachment } = await start(dir, ["sh", "-c", "yes x | head -c 400000; exit 9"], {
        attach: { stdout: true },
      });
      assert.equal((await task.wait()).code, 9);
      assert.equal(logged(dir).length, 400_000);
      assert.equal((await collect(attachment!)).length, 400_000);
    }),
);

test("binary output comes back byte for byte over attach", root, () =>
  withDir(async (dir) => {
    const file = join(dir, "random");
    await must(["sh", "-c", `head -c 400000 /dev/urandom > ${file}`]);
    const { attachment } = await start(dir, ["cat", file], { attach: { stdout: true } });
    assert.ok((await collect(attachment!)).equals(readFileSync(file)));
    assert.equal(
      logged(dir),
      new TextDecoder("utf-8", { ignoreBOM: true }).decode(replaceAsGo(readFileSync(file))),
    );
  }),
);

/** Go replaces each bad byte by U+FFFD; TextDecoder some runs of them by one. */
function replaceAsGo(bytes: Buffer): Buffer {
  const out: Uint8Array[] = [];
  const bad = Buffer.from("\ufffd");
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at]!;
    const length =
      lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    let good = length > 0 && at + length <= bytes.length;
    if (good && length > 1) {
      try {
        strict.decode(bytes.subarray(at, at + length));
      } catch {
        good = false;
      }
    }
    out.push(good ? bytes.subarray(at, at + length) : bad);
    at += good ? length : 1;
  }
  return Buffer.concat(out);
}

test("a line of 5 MB is cut into entries of at most 16 KiB and nothing of it is lost", root, () =>
  withDir(async (dir) => {
    const { task } = await start(dir, [
      "sh",
      "-c",
      "yes äöü | tr -d '\\n' | head -c 5000000; echo; echo next",
    ]);
    await task.wait();
    const entries = jsonEntries(dir);
    assert.ok(entries.every((entry) => Buffer.byteLength(entry.log) <= 16384));
    const text = entries.map((entry) => entry.log).join("");
    assert.equal(text, `${"äöü".repeat(1_000_000).slice(0, 2_500_000)}\nnext\n`);
    assert.equal(new Set(entries.slice(0, -2).map((entry) => entry.time)).size, 1);
  }),
);

test("a flood from two streams into a rotated log loses no line while there are files enough", root, () =>
  withDir(async (dir) => {
    const script = "seq 1 60000 & seq 1 60000 >&2 & wait";
    const { task } = await start(dir, ["sh", "-c", script], { limitBytes: 500_000, files: 40 });
    await task.wait();
    const expected = Array.from({ length: 60_000 }, (_, index) => `${index + 1}\n`).join("");
    assert.equal(logged(dir, "stdout", 40), expected);
    assert.equal(logged(dir, "stderr", 40), expected);
    assert.ok(statSync(join(dir, "log.1")).size < 500_200);
  }),
);

test(
  "a full disk under the log loses log entries and nothing else",
  { ...root, skip: needs("root", "mount") },
  () =>
    withDir(async (dir) => {
      const small = join(dir, "small");
      await must(["sh", "-c", `mkdir ${small} && mount -t tmpfs -o size=64k gantry-test ${small}`]);
      try {
        const { task, attachment } = await start(dir, ["sh", "-c", "yes line | head -c 1000000; exit 4"], {
          log: join(small, "log"),
          attach: { stdout: true },
        });
        assert.equal((await collect(attachment!)).length, 1_000_000);
        const exit = await task.wait();
        assert.equal(exit.code, 4);
        assert.ok(exit.logBytesLost! > 1_000_000, `${exit.logBytesLost}`);
        const log = readFileSync(join(small, "log"), "utf8");
        assert.ok(log.length > 50_000 && log.length <= 65_536, `${log.length}`);
        for (const line of log.trimEnd().split("\n")) assert.equal(JSON.parse(line).log, "line\n");
      } finally {
        await must(["umount", small]);
      }
    }),
);
