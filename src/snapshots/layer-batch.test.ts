import assert from "node:assert/strict";
import test from "node:test";
import { encodePlan } from "../plan/encode.ts";
import type { Step } from "../plan/plan.ts";
import { frameHeaderBytes, requests } from "../plan/protocol.ts";
import { type ByteString, byteStringOf } from "../wire/tar-format.ts";
import { LayerBatch, type LayerOperands, type LayerOperation } from "./layer-batch.ts";

const path = "usr/share/doc" as ByteString;
const common = { mode: 0o644, uid: 1000, gid: 0xfffffffe, seconds: 1_700_000_000, nanoseconds: 999_999_999 };

const steps: { [N in LayerOperation]?: LayerOperands<N> } = {
  "layer-root": { path: byteStringOf("/var/lib/x"), options: 3, root: 0 },
  "layer-directory": { root: 0, path },
  "layer-file": { root: 0, path, ...common, size: 2 ** 40 + 5, more: 1, from: 77, length: 100 },
  "layer-append": { offset: 2 ** 33, more: 0, from: 8_000_000, length: 0 },
  "layer-link": { root: 0, path, target: byteStringOf("a") },
  "layer-symlink": {
    root: 0,
    path,
    target: byteStringOf(".."),
    uid: 1,
    gid: 2,
    seconds: -1.0,
    nanoseconds: 5,
  },
  "layer-xattr": { root: 0, path, name: byteStringOf("user.x"), value: Buffer.from([0, 1, 255, 10, 13]) },
  "layer-settle": {
    dir: byteStringOf("/s"),
    names: [byteStringOf("a"), byteStringOf("bcde")],
    mark: byteStringOf("m"),
  },
  "layer-close": { root: 0 },
};

/** The same plan through the encoder of src/plan. Texts are plain ASCII here, registers get the same numbers. */
function reference(): Buffer {
  const layer = Object.entries(steps).map(([op, operands]) => {
    const values = Object.entries(operands).map(([key, value]) => [key, key === "root" ? "root" : value]);
    return { op, where: "", ...Object.fromEntries(values) } as Step;
  });
  return Buffer.from(encodePlan({ host: [], child: [], cleanup: [], layer }));
}

test("a batch has the bytes that the plan encoder writes", () => {
  const batch = new LayerBatch();
  for (const [name, operands] of Object.entries(steps))
    batch.add(name as LayerOperation, operands as LayerOperands<LayerOperation>);
  const frame = Buffer.from(batch.frame());
  assert.equal(frame.readUInt32LE(0), frame.length - frameHeaderBytes);
  assert.equal(frame.readUInt32LE(4), requests.plan);
  const plan = frame.subarray(frameHeaderBytes);
  const expected = reference();
  // the number of registers is fixed in a batch
  plan.writeUInt32LE(expected.readUInt32LE(12), 12);
  assert.deepEqual(plan, expected);
});

test("the piece of the open file grows while it is contiguous in the spool, and ends in place", () => {
  const batch = new LayerBatch();
  const open = { root: 0, path, ...common, size: 1000, more: 1 };
  batch.add("layer-file", { ...open, from: 50, length: 10 });
  assert.equal(batch.extend(60, 40), true);
  assert.equal(batch.extend(200, 1), false, "not where the piece ends");
  assert.equal(batch.isOpenFile, true);
  batch.endFile();
  assert.equal(batch.isOpenFile, false);
  assert.equal(batch.extend(100, 5), false, "the file has ended");
  const other = new LayerBatch();
  other.add("layer-file", { ...open, more: 0, from: 50, length: 50 });
  assert.deepEqual(Buffer.from(batch.frame()), Buffer.from(other.frame()));
});

test("bytes that are no UTF-8 stand in the frame as they are; a NUL is refused", () => {
  const batch = new LayerBatch();
  batch.add("layer-directory", { root: 0, path: "caf\xe9" as ByteString });
  assert.ok(Buffer.from(batch.frame()).includes(Buffer.from([0x63, 0x61, 0x66, 0xe9, 0])));
  assert.throws(() => batch.add("layer-directory", { root: 0, path: "a\0b" as ByteString }), /NUL/);
});

test("a batch says when it is full, and is empty after clear", () => {
  const batch = new LayerBatch();
  assert.equal(batch.isEmpty, true);
  let steps = 0;
  for (; !batch.isFull; steps++) batch.add("layer-directory", { root: 0, path });
  assert.ok(steps > 500);
  assert.throws(() => batch.add("layer-directory", { root: 0, path }), /bug/);
  batch.clear();
  assert.equal(batch.isEmpty, true);
  assert.equal(batch.isFull, false);
});
