import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../../base/error.ts";
import { OutputStream } from "./output-stream.ts";

const bytes = (text: string) => Buffer.from(text);

test("output that came before anybody read is still read", async () => {
  const stream = new OutputStream("stdout");
  await stream.push(bytes("a"));
  await stream.push(bytes("b\n"));
  stream.end();
  assert.equal(await stream.text(), "ab\n");
});

test("lines are whole, also when characters and lines are cut", async () => {
  const stream = new OutputStream("stdout");
  const data = bytes("grün\nblau\nrot");
  for (const byte of data) await stream.push(Uint8Array.of(byte));
  stream.end();
  const lines: string[] = [];
  for await (const line of stream.lines()) lines.push(line);
  assert.deepEqual(lines, ["grün", "blau", "rot"]);
});

test("a slow reader holds the writer up", async () => {
  const stream = new OutputStream("stdout");
  const reader = stream[Symbol.asyncIterator]();
  const first = reader.next();
  await stream.push(new Uint8Array(10));
  await first;
  await stream.push(new Uint8Array(200_000));
  let went = false;
  const held = stream.push(new Uint8Array(200_000)).then(() => {
    went = true;
  });
  await new Promise((later) => setTimeout(later, 5));
  assert.equal(went, false);
  await reader.next();
  await held;
  assert.equal(went, true);
});

test("unread output is bounded, and a late reader is told of the hole", async () => {
  const stream = new OutputStream("stdout");
  const chunk = new Uint8Array(1024 * 1024);
  for (let count = 0; count < 20; count++) await stream.push(chunk);
  stream.end();
  await assert.rejects(stream.text(), (error) => {
    assert.ok(isGantryError(error, "resource-exhausted"));
    return error.detail.droppedBytes === 4 * 1024 * 1024;
  });
});

test("a reader that leaves early does not hold the writer up", async () => {
  const stream = new OutputStream("stdout");
  await stream.push(new Uint8Array(10));
  for await (const _ of stream) break;
  for (let count = 0; count < 4; count++) await stream.push(new Uint8Array(200_000));
  stream.end();
});

test("two readers at once are refused", async () => {
  const stream = new OutputStream("stdout");
  const first = stream[Symbol.asyncIterator]();
  const pending = first.next();
  await assert.rejects(stream.text(), (error) => isGantryError(error, "failed-precondition"));
  stream.end();
  await pending;
});

test("a failure of the connection reaches the reader at the end", async () => {
  const stream = new OutputStream("stdout");
  await stream.push(bytes("x"));
  stream.end(new Error("gone"));
  await assert.rejects(stream.text(), /gone/);
});
