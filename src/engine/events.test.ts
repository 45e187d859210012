import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { promisify } from "node:util";
import fc from "fast-check";
import { EventLog, parseEvent } from "./events.ts";

const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-events-"));
  return { path: join(dir, "state/events.log"), [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
};

test("events of several writers are read in order, within the range asked for", async () => {
  using place = folder();
  using one = new EventLog(place.path);
  using two = new EventLog(place.path);
  one.append("container", "create", "a", { name: "x" }, new Date("2026-01-01T00:00:01Z"));
  two.append("container", "start", "a", {}, new Date("2026-01-01T00:00:02Z"));
  one.append("container", "die", "a", { exitCode: "0" }, new Date("2026-01-01T00:00:03Z"));
  const actions: string[] = [];
  const range = { since: new Date("2026-01-01T00:00:02Z"), until: new Date("2026-01-01T00:00:09Z") };
  for await (const { action } of one.read(range)) actions.push(action);
  assert.deepEqual(actions, ["start", "die"]);
  assert.equal(statSync(place.path).mode & 0o777, 0o600);
});

test("a file that has grown too long is turned over, and every writer goes on in the new one", () => {
  using place = folder();
  using one = new EventLog(place.path);
  using two = new EventLog(place.path);
  one.append("container", "create", "before");
  two.append("container", "create", "before");
  writeFileSync(place.path, Buffer.alloc(5 * 1024 * 1024, "x\n"));
  one.append("container", "create", "first");
  two.append("container", "create", "second");
  assert.equal(statSync(`${place.path}.1`).size, 5 * 1024 * 1024);
  const ids = readFileSync(place.path, "utf8")
    .trim()
    .split("\n")
    .map((line) => parseEvent(line)?.id);
  assert.deepEqual(ids, ["first", "second"]);
});

test("writers that find it too long at once turn it over once, and lose nothing", async () => {
  using place = folder();
  const [writers, count] = [6, 12_000];
  const script = `
    const { EventLog } = await import(${JSON.stringify(new URL("events.ts", import.meta.url).href)});
    using log = new EventLog(${JSON.stringify(place.path)});
    const [writer] = process.argv.slice(-1);
    for (let index = 0; index < ${count}; index++)
      log.append("container", "create", writer + "-" + index, { padding: "x".repeat(400) });`;
  const run = promisify(execFile);
  await Promise.all(
    Array.from({ length: writers }, (_, writer) => run(process.execPath, ["-e", script, "--", `${writer}`])),
  );
  const old = readFileSync(`${place.path}.1`, "utf8");
  assert.ok(old.length >= 4 * 1024 * 1024);
  const kept = `${old}${readFileSync(place.path, "utf8")}`.trimEnd().split("\n").map(parseEvent);
  for (let writer = 0; writer < writers; writer++) {
    const own = kept.flatMap((event) => (event?.id.startsWith(`${writer}-`) ? [event.id] : []));
    assert.deepEqual(
      own,
      own.map((_, index) => `${writer}-${count - own.length + index}`),
    );
  }
  assert.ok(!existsSync(`${place.path}.lock`));
});

test("no line makes the parser throw", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void parseEvent(line)));
  assert.equal(
    parseEvent('{"kind":"container","action":"explode","id":"a","time":"","attributes":{}}'),
    undefined,
  );
});
