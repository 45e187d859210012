import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { parseLogLine, readLog } from "./log-reader.ts";

const line = (second: number, log: string) =>
  JSON.stringify({
    log,
    stream: second % 2 ? "stderr" : "stdout",
    time: `2026-01-01T00:00:0${second}.000000001Z`,
  });

test("entries come back in order, within the range asked for, without torn lines", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-log-"));
  try {
    const path = join(dir, "log.json");
    const lines = [0, 1, 2, 3].map((second) => line(second, `${second}\n`));
    writeFileSync(path, `${lines.slice(0, 2).join("\n")}\n{"log":"to\n${lines.slice(2).join("\n")}\n`);
    const read = async (range: object) => {
      let text = "";
      for await (const entry of readLog(path, { files: 1, ...range })) text += entry.text.trim();
      return text;
    };
    assert.equal(await read({}), "0123");
    assert.equal(await read({ tail: 2 }), "23");
    assert.equal(await read({ since: new Date("2026-01-01T00:00:02Z") }), "23");
    assert.equal(await read({ until: new Date("2026-01-01T00:00:01.5Z") }), "01");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("no line of bytes makes the parser throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const entry = parseLogLine(text);
      assert.ok(entry === undefined || typeof entry.text === "string");
    }),
  );
});
