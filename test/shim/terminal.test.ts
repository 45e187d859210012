/** A shim that holds a terminal: several clients, those that go, those that read nothing, a program that floods it. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { start, withDir } from "./container.ts";
import { isOver, logged, memoryOf, sanitized, shimPid } from "./reading.ts";

const root = { skip: needs("root"), timeout: 120_000 };

test("a terminal shows the same to every client, and takes what each of them types", root, () =>
  withDir(async (dir) => {
    const script = 'stty -echo; stty size; while read line; do echo "[$line]"; done';
    const { task, attachment } = await start(dir, ["sh", "-c", script], {
      terminal: true,
      attach: { stdin: true, stdout: true, stderr: true },
    });
    const clients = [attachment!, await task.attach({ stdin: true, stdout: true })];
    const texts = clients.map(() => "");
    const over = clients.map(async (client, index) => {
      for await (const { stream, bytes } of client.output) {
        assert.equal(stream, "stdout");
        texts[index] += Buffer.from(bytes).toString();
      }
    });
    await task.resize(7, 9);
    for (const [index, client] of clients.entries()) {
      await client.write(Buffer.from(`from ${index}\n`));
      await until("both to see it", () => texts.every((text) => text.includes(`[from ${index}]\r\n`)));
    }
    // the end of one client's stdin is nothing to a terminal
    await clients[1]!.endStdin();
    await clients[0]!.write(Buffer.from("more\n"));
    await until("the answer", () => texts[1]!.includes("[more]"));
    await task.kill(9);
    await Promise.all(over);
    assert.equal((await task.wait()).code, 137);
    assert.ok(logged(dir).endsWith("[more]\r\n"), logged(dir));
  }),
);

test(
  "a client that goes without a word and one that reads nothing cost a flooded terminal nothing",
  root,
  () =>
    withDir(async (dir) => {
      const total = 30_000_000;
      const { task, attachment } = await start(
        dir,
        ["sh", "-c", `stty raw -echo; echo; yes 0123456789abcde | head -c ${total}; exit 3`],
        { terminal: true, format: "none", attach: { stdout: true } },
      );
      const before = memoryOf(shimPid(dir)).rss;
      for (let i = 0; i < 10; i++) {
        const gone = await task.attach({ stdin: true, stdout: true });
        await gone.write(Buffer.alloc(10_000));
        await gone[Symbol.asyncDispose]();
      }
      let bytes = 0;
      let most = 0;
      for await (const output of attachment!.output) {
        bytes += output.bytes.length;
        if (!isOver(shimPid(dir))) most = Math.max(most, memoryOf(shimPid(dir)).rss);
      }
      // before the echo is off a little of what was typed is shown
      assert.ok(bytes > total && bytes < total + 300_000, `${bytes} bytes`);
      assert.equal((await task.wait()).code, 3);
      if (!sanitized) assert.ok(most < before + 700, `grew from ${before} to ${most} KiB`);
    }),
);

test("a program that ignores its terminal is killed and told of as any other", root, () =>
  withDir(async (dir) => {
    const { task, attachment } = await start(dir, ["sleep", "1000"], {
      terminal: true,
      attach: { stdin: true, stdout: true },
    });
    // more than the kernel keeps for it
    const written = attachment!.write(Buffer.alloc(500_000, "x"));
    await task.resize(5, 5);
    await task.kill(9);
    assert.equal((await task.wait()).code, 137);
    await attachment![Symbol.asyncDispose]();
    await written.catch(() => {});
  }),
);

test("a terminal that its program closes and opens again goes on", root, () =>
  withDir(async (dir) => {
    const script = "t=$(tty); echo one; exec <&- >&- 2>&-; sleep 0.5; exec <$t >$t 2>&1; echo two; exit 4";
    const { task, attachment } = await start(dir, ["sh", "-c", script], {
      terminal: true,
      attach: { stdout: true },
    });
    let text = "";
    for await (const { bytes } of attachment!.output) text += Buffer.from(bytes).toString();
    assert.equal(text, "one\r\ntwo\r\n");
    assert.equal((await task.wait()).code, 4);
  }),
);
