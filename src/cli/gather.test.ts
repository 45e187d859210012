import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Gather } from "./gather.ts";

function recorded() {
  const written: string[] = [];
  const note = (stream: string) => (text: string | Uint8Array) =>
    void written.push(`${stream}:${Buffer.from(text).toString()}`);
  return { written, gather: new Gather({ out: note("out"), err: note("err") }) };
}

test("pieces of one turn are one write, in order of the streams", async () => {
  const { written, gather } = recorded();
  for (const [stream, text] of [
    ["out", "a"],
    ["out", "b"],
    ["err", "c"],
    ["out", "d"],
  ] as const)
    gather.write(stream, Buffer.from(text));
  assert.deepEqual(written, ["out:ab", "err:c"]);
  await turn();
  assert.deepEqual(written, ["out:ab", "err:c", "out:d"]);
});

test("no write is larger than 64 KB unless a piece is", () => {
  const { written, gather } = recorded();
  for (let count = 0; count < 3; count++) gather.write("out", Buffer.alloc(40_000, "x"));
  gather.write("out", Buffer.alloc(100_000, "y"));
  gather.flush();
  assert.deepEqual(
    written.map((text) => text.length - "out:".length),
    [40_000, 40_000, 40_000, 100_000],
  );
  gather.flush();
  assert.equal(written.length, 4);
});
