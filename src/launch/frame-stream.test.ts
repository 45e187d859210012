import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isGantryError } from "../base/error.ts";
import { connectSocket } from "../base/stream-socket.ts";
import { replies } from "../plan/protocol.ts";
import { FrameStream } from "./frame-stream.ts";
import { encodeFrame } from "./frames.ts";

/** Two ends of a connection over a unix socket. */
async function withPair(body: (stream: FrameStream, peer: Socket) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "gantry-frames-"));
  const path = join(dir, "socket");
  let peer: Socket | undefined;
  const server = createServer((socket) => {
    peer = socket;
    socket.on("error", () => {});
  });
  try {
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const socket = await connectSocket(path);
    while (!peer) await pause(1);
    const stream = new FrameStream(socket, "talk to peer", 64 * 1024);
    await body(stream, peer);
    stream.close();
  } finally {
    peer?.destroy();
    await new Promise((resolve) => server.close(resolve));
    rmSync(dir, { recursive: true, force: true });
  }
}

test("a reader that takes nothing stops the sender after a bounded amount, and then gets all of it in order", () =>
  withPair(async (stream, peer) => {
    const payload = Buffer.alloc(32 * 1024);
    const count = 1000;
    let accepted = 0;
    const sending = (async () => {
      for (let number = 0; number < count; number++) {
        payload.writeUInt32LE(number, 0);
        const frame = Buffer.from(encodeFrame(replies.stdout, payload));
        if (!peer.write(frame)) await new Promise((resolve) => peer.once("drain", resolve));
        accepted++;
      }
      peer.end();
    })();
    await pause(200);
    const before = accepted;
    await pause(100);
    assert.equal(accepted, before);
    assert.ok(before * payload.length < 8 * 1024 * 1024, `${before} frames went somewhere`);
    for (let number = 0; number < count; number++) {
      const frame = await stream.next();
      assert.equal(new DataView(frame!.payload.buffer, frame!.payload.byteOffset).getUint32(0, true), number);
    }
    assert.equal(await stream.next(), undefined);
    await sending;
  }));

test("waiting for a frame ends with the abort, and the stream goes on", () =>
  withPair(async (stream, peer) => {
    await assert.rejects(
      stream.next({ signal: AbortSignal.timeout(20) }),
      (error) => (error as Error).name === "TimeoutError",
    );
    peer.write(encodeFrame(replies.done));
    assert.equal((await stream.next())?.type, replies.done);
  }));

test("sending waits while the peer reads nothing, and ends when it goes", () =>
  withPair(async (stream, peer) => {
    peer.pause();
    let sent = 0;
    const sending = (async () => {
      for (; sent < 1000; sent++) await stream.send({ kind: "stdin", bytes: new Uint8Array(32 * 1024) });
    })();
    await pause(100);
    assert.ok(sent < 500, `${sent} frames went somewhere`);
    peer.destroy();
    await sending;
  }));

test("a malformed stream ends in an error that says so", () =>
  withPair(async (stream, peer) => {
    peer.write(Buffer.alloc(8, 0xff));
    await assert.rejects(stream.next(), (error) => isGantryError(error, "data-loss"));
  }));
