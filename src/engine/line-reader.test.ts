import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { isGantryError } from "../base/error.ts";
import { type ReadLinesOptions, readLines } from "./line-reader.ts";
import { identityMember, identityOf } from "./packed-file.ts";

const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-lines-"));
  return { path: join(dir, "log"), [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
};
const collect = async (path: string, options?: ReadLinesOptions) => {
  const lines: string[] = [];
  for await (const line of readLines(path, options)) lines.push(line.toString());
  return lines;
};

test("rotated files are read from the oldest to the newest", async () => {
  using place = folder();
  writeFileSync(`${place.path}.2`, "a\nb\n");
  writeFileSync(`${place.path}.1`, "c\n");
  writeFileSync(place.path, "d\ne");
  assert.deepEqual(await collect(place.path, { files: 3 }), ["a", "b", "c", "d"]);
  assert.deepEqual(await collect(place.path, { files: 2 }), ["c", "d"]);
});

test("the tail is counted over the border between two files", async () => {
  using place = folder();
  writeFileSync(`${place.path}.1`, "a\nb\nc\n");
  writeFileSync(place.path, "d\ne\n");
  for (const [tail, expected] of [
    [0, []],
    [1, ["e"]],
    [2, ["d", "e"]],
    [3, ["c", "d", "e"]],
    [99, ["a", "b", "c", "d", "e"]],
  ] as const)
    assert.deepEqual(await collect(place.path, { files: 2, tail }), [...expected], `tail ${tail}`);
});

/** Puts a compressed file in the place of another, as a shim does. */
function pack(path: string, withIdentity = true): void {
  const head = withIdentity ? identityMember(identityOf(statSync(path, { bigint: true }))) : new Uint8Array();
  writeFileSync(`${path}.gz`, Buffer.concat([head, gzipSync(readFileSync(path))]));
  rmSync(path);
}

test("compressed files are read where others stand, also those of other programs", async () => {
  using place = folder();
  writeFileSync(`${place.path}.3`, "a\nb\n");
  writeFileSync(`${place.path}.2`, "c\n");
  writeFileSync(`${place.path}.1`, "d\n");
  writeFileSync(place.path, "e\n");
  pack(`${place.path}.3`, false);
  pack(`${place.path}.2`);
  assert.deepEqual(await collect(place.path, { files: 4 }), ["a", "b", "c", "d", "e"]);
  assert.deepEqual(await collect(place.path, { files: 4, tail: 4 }), ["b", "c", "d", "e"]);
  assert.deepEqual(readdirSync(dirname(place.path)).sort(), ["log", "log.1", "log.2.gz", "log.3.gz"]);
});

test("who has read a file to its end goes on behind it, whatever it has become meanwhile", async () => {
  using place = folder();
  writeFileSync(`${place.path}.1`, "a\nb\n");
  writeFileSync(place.path, "c\n");
  const { promise, resolve } = Promise.withResolvers<void>();
  const lines: string[] = [];
  for await (const line of readLines(place.path, { files: 4, ended: promise })) {
    lines.push(line.toString());
    if (lines.length === 1) {
      // in the middle of the file
      pack(`${place.path}.1`);
      renameSync(`${place.path}.1.gz`, `${place.path}.2.gz`);
      renameSync(place.path, `${place.path}.1`);
      writeFileSync(place.path, "d\n");
    } else if (line.toString() === "c") pack(`${place.path}.1`);
    else if (line.toString() === "d") resolve();
  }
  assert.deepEqual(lines, ["a", "b", "c", "d"]);
});

test("a compressed file that is damaged is told as such", async () => {
  using place = folder();
  writeFileSync(`${place.path}.1.gz`, gzipSync("a\n").subarray(0, 12));
  writeFileSync(place.path, "b\n");
  await assert.rejects(collect(place.path, { files: 2 }), (error) => isGantryError(error, "data-loss"));
});

test("a tail further back than one read is found", async () => {
  using place = folder();
  const lines = Array.from({ length: 30_000 }, (_, index) => `line ${index}`);
  writeFileSync(place.path, `${lines.join("\n")}\n`);
  assert.deepEqual(await collect(place.path, { tail: 20_000 }), lines.slice(10_000));
});

test("a file that is not there is empty, and is read when it appears", async () => {
  using place = folder();
  assert.deepEqual(await collect(place.path), []);
  const { promise, resolve } = Promise.withResolvers<void>();
  const reading = collect(place.path, { ended: promise });
  await new Promise((later) => setTimeout(later, 20));
  writeFileSync(place.path, "x\n");
  resolve();
  assert.deepEqual(await reading, ["x"]);
});

test("following sees every line, across rotations, until the end", async () => {
  using place = folder();
  const { promise, resolve } = Promise.withResolvers<void>();
  writeFileSync(place.path, "0\n");
  const reading = collect(place.path, { files: 50, ended: promise });
  for (let index = 1; index < 100; index++) {
    if (index % 7 === 0) {
      for (let old = 48; old >= 0; old--) {
        try {
          renameSync(old === 0 ? place.path : `${place.path}.${old}`, `${place.path}.${old + 1}`);
        } catch {
          // not that many yet
        }
      }
    }
    appendFileSync(place.path, `${index}\n`);
    if (index % 10 === 0) await new Promise((later) => setTimeout(later, 5));
  }
  resolve();
  assert.deepEqual(
    await reading,
    Array.from({ length: 100 }, (_, index) => String(index)),
  );
});

/** Moves every file on by one, and writes a line into a new one. */
function turnOver(path: string, files: number, line: number): void {
  for (let index = files - 1; index > 0; index--) {
    const from = index === 1 ? path : `${path}.${index - 1}`;
    if (existsSync(from)) renameSync(from, `${path}.${index}`);
  }
  writeFileSync(path, `${line}\n`);
}

test("no file is passed by, though several rotations come while the reader looks where to go on", async () => {
  const turns = 12;
  for (let round = 0; round < 25; round++) {
    using place = folder();
    const { promise, resolve } = Promise.withResolvers<void>();
    writeFileSync(place.path, "0\n");
    let written = 0;
    // between any two looks of the reader
    const work = () => {
      for (let turn = 0; turn < 3; turn++) turnOver(place.path, turns + 1, ++written);
      if (written === turns) resolve();
      else setImmediate(work);
    };
    setImmediate(work);
    assert.deepEqual(
      await collect(place.path, { files: turns + 1, ended: promise }),
      Array.from({ length: turns + 1 }, (_, index) => String(index)),
    );
  }
});

test("a file that is begun anew is followed from its beginning", async () => {
  using place = folder();
  const { promise, resolve } = Promise.withResolvers<void>();
  writeFileSync(place.path, "first\nsecond\n");
  const seen: string[] = [];
  for await (const line of readLines(place.path, { ended: promise })) {
    seen.push(line.toString());
    if (seen.length === 2) {
      setTimeout(() => {
        writeFileSync(place.path, "third\n");
        resolve();
      }, 10);
    }
  }
  assert.deepEqual(seen, ["first", "second", "third"]);
});

test("an abort ends the waiting with the reason of the abort", async () => {
  using place = folder();
  writeFileSync(place.path, "x\n");
  const controller = new AbortController();
  const reading = collect(place.path, { ended: new Promise(() => {}), signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")), 10);
  await assert.rejects(reading, /enough/);
});

test("a line longer than the limit is left out, those around it are not", async () => {
  using place = folder();
  writeFileSync(place.path, `a\n${"x".repeat(300_000)}\nb\n`);
  assert.deepEqual(await collect(place.path, { lineLimit: 100_000 }), ["a", "b"]);
});

test("what came to a file before it lost its name is read", async () => {
  using place = folder();
  writeFileSync(place.path, "a\n");
  const { promise, resolve } = Promise.withResolvers<void>();
  const lines: string[] = [];
  for await (const line of readLines(place.path, { ended: promise })) {
    lines.push(line.toString());
    if (lines.length > 1) continue;
    appendFileSync(place.path, "b\n");
    rmSync(place.path);
    writeFileSync(place.path, "c\n");
    resolve();
  }
  assert.deepEqual(lines, ["a", "b", "c"]);
});

test("a follower that slept through several rotations goes on where it was", async () => {
  using place = folder();
  writeFileSync(place.path, "0\n");
  const { promise, resolve } = Promise.withResolvers<void>();
  const lines: string[] = [];
  for await (const line of readLines(place.path, { files: 5, ended: promise })) {
    lines.push(line.toString());
    if (lines.length > 1) continue;
    for (let turn = 1; turn <= 4; turn++) {
      appendFileSync(place.path, `late ${turn}\n`);
      turnOver(place.path, 5, turn);
    }
    resolve();
  }
  assert.deepEqual(lines, ["0", "late 1", "1", "late 2", "2", "late 3", "3", "late 4", "4"]);
});

test("half a line that is cut off again makes nothing be read twice", async () => {
  using place = folder();
  writeFileSync(place.path, "a\nb\nhal");
  const { promise, resolve } = Promise.withResolvers<void>();
  const reading = collect(place.path, { ended: promise });
  await new Promise((later) => setTimeout(later, 20));
  truncateSync(place.path, 4);
  appendFileSync(place.path, "c\n");
  resolve();
  assert.deepEqual(await reading, ["a", "b", "c"]);
});
