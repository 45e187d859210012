import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { nanoseconds, parseCriLine, parseJsonLine, readLog } from "./log-reader.ts";

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
      for await (const entry of readLog(path, { format: "json", files: 1, ...range }))
        text += entry.text.trim();
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

test("a range is exact to the nanosecond", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-log-"));
  try {
    const path = join(dir, "log.cri");
    const times = [1, 2, 3].map((nano) => `2026-01-01T00:00:00.00000000${nano}Z`);
    writeFileSync(path, times.map((time, index) => `${time} stdout F ${index}\n`).join(""));
    const read = async (range: object) => {
      let text = "";
      for await (const entry of readLog(path, { format: "cri", files: 1, ...range }))
        text += entry.text.trim();
      return text;
    };
    assert.equal(await read({ since: nanoseconds(times[1]!) }), "12");
    assert.equal(await read({ until: nanoseconds(times[1]!) }), "01");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a json-file entry has its attributes; one without text is empty", () => {
  const entry = parseJsonLine(
    Buffer.from('{"log":"a\\n","stream":"stdout","attrs":{"tag":"t"},"time":"2026-01-01T00:00:00Z"}'),
  );
  assert.deepEqual([entry?.text, entry?.attributes], ["a\n", { tag: "t" }]);
  const bare = parseJsonLine(Buffer.from('{"stream":"stderr","time":"2026-01-01T00:00:00Z"}'));
  assert.deepEqual([bare?.text, bare?.stream, bare?.attributes], ["", "stderr", {}]);
});

test("a CRI line keeps its bytes; a part has no newline", () => {
  const full = parseCriLine(Buffer.from("2026-01-01T00:00:00.5Z stdout F \xff\0 x", "latin1"));
  assert.deepEqual(Buffer.from(full!.bytes), Buffer.from("\xff\0 x\n", "latin1"));
  const part = parseCriLine(Buffer.from("2026-01-01T00:00:00.5Z stderr P:x y"));
  assert.deepEqual([part?.text, part?.stream], ["y", "stderr"]);
  assert.equal(parseCriLine(Buffer.from("2026-01-01T00:00:00.5Z stdin F y")), undefined);
});

test("no line of bytes makes a parser throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), fc.uint8Array()), (line) => {
      for (const parse of [parseJsonLine, parseCriLine]) {
        const entry = parse(Buffer.from(line as string));
        assert.ok(entry === undefined || typeof entry.text === "string");
      }
    }),
  );
});
