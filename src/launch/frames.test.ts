import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { replies } from "../plan/protocol.ts";
import { encodeFrame, type Frame, FrameReader } from "./frames.ts";
import { decodeReply, decodeRequest, encodeRequest, type Request } from "./messages.ts";
import { decodeFailure } from "./report.ts";

const u32 = fc.nat({ max: 0xffffffff });
const u16 = fc.nat({ max: 0xffff });
const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("plan" as const, "stdin" as const),
    bytes: fc.uint8Array({ maxLength: 300 }),
  }),
  fc.record({
    kind: fc.constantFrom(
      "go" as const,
      "abort" as const,
      "stdin-end" as const,
      "wait" as const,
      "disown" as const,
    ),
  }),
  fc.record({ kind: fc.constant("resize" as const), rows: u16, columns: u16 }),
  fc.record({ kind: fc.constant("signal" as const), signal: u32, all: fc.boolean() }),
  fc.record({
    kind: fc.constant("attach" as const),
    stdin: fc.boolean(),
    stdout: fc.boolean(),
    stderr: fc.boolean(),
    ownsStdin: fc.boolean(),
    ownsProcess: fc.boolean(),
  }),
);

/** Cuts `bytes` at the given places and pushes the pieces. */
function readInPieces(bytes: Uint8Array, cuts: readonly number[]): Frame[] {
  const reader = new FrameReader();
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  const frames = places
    .slice(1)
    .flatMap((end, index) => [...reader.push(bytes.subarray(places[index], end))]);
  reader.finish();
  return frames;
}

test("every request survives encoding and decoding, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 20 }), (all, cuts) => {
      const stream = Buffer.concat(all.map(encodeRequest));
      const read = readInPieces(stream, cuts).map(decodeRequest);
      const plain = (one: Request) => ("bytes" in one ? { ...one, bytes: [...one.bytes] } : { ...one });
      assert.deepEqual(read.map(plain), all.map(plain));
    }),
  );
});

test("any bytes either decode or are refused as data-loss, and take no more memory than the limit", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const reader = new FrameReader(128);
      try {
        for (const frame of reader.push(bytes)) {
          assert.ok(frame.payload.length <= 128);
          decodeReply(frame);
        }
      } catch (error) {
        assert.ok(isGantryError(error, "data-loss"), String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("a failure report carries step, errno, status and detail", () => {
  const detail = Buffer.from("open /ä");
  const payload = Buffer.alloc(20 + detail.length);
  payload.writeUInt32LE(2, 0);
  payload.writeUInt32LE(7, 4);
  payload.writeInt32LE(13, 8);
  payload.writeUInt32LE(126, 12);
  payload.writeUInt32LE(detail.length, 16);
  detail.copy(payload, 20);
  const reply = decodeReply({ type: replies.failed, payload });
  assert.equal(reply.kind, "failed");
  assert.deepEqual(decodeFailure(payload), { stage: 2, step: 7, errno: 13, status: 126, detail: "open /ä" });
});

test("a stream that ends within a frame is refused", () => {
  const reader = new FrameReader();
  assert.deepEqual(reader.push(encodeFrame(replies.stdout, Buffer.from("abc")).subarray(0, 9)), []);
  assert.throws(() => reader.finish(), /ended within a frame/);
});

test("a payload above the limit is refused before any of it is kept", () => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(65537, 0);
  assert.throws(() => new FrameReader(65536).push(header), /a header of 65537 bytes/);
});
