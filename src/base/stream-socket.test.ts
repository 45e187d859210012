import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { errnoOf } from "./error.ts";
import { NodeStreamSocket } from "./node-stream-socket.ts";
import { connectSocket, type SocketEvents, type StreamSocket } from "./stream-socket.ts";

/** What an attendant has heard. */
class Heard implements SocketEvents {
  readonly chunks: Uint8Array[] = [];
  drains = 0;
  over = false;

  data(chunk: Uint8Array): void {
    this.chunks.push(chunk);
  }

  drained(): void {
    this.drains++;
  }

  ended(): void {
    this.over = true;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 2000, `never: ${holds}`);
    await pause(5);
  }
}

const kinds = {
  "of this host": (path: string) => connectSocket(path, { allowHalfOpen: true }),
  async "of Node"(path: string) {
    const socket = connect({ path, allowHalfOpen: true });
    await new Promise((resolve) => socket.once("connect", resolve));
    return new NodeStreamSocket(socket);
  },
} as const;

for (const [kind, open] of Object.entries(kinds)) {
  const withPair = async (body: (socket: StreamSocket, peer: Socket) => Promise<void>) => {
    const dir = mkdtempSync(join(tmpdir(), "gantry-sockets-"));
    const path = join(dir, "socket");
    let peer: Socket | undefined;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      peer = socket;
      socket.on("error", () => {});
    });
    try {
      await new Promise<void>((resolve) => server.listen(path, resolve));
      const socket = await open(path);
      await until(() => peer !== undefined);
      await body(socket, peer!);
      socket.destroy();
    } finally {
      peer?.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(dir, { recursive: true, force: true });
    }
  };

  test(`a socket ${kind} keeps what the peer does not take, and ends behind it`, () =>
    withPair(async (socket, peer) => {
      const heard = new Heard();
      socket.attend(heard);
      const chunk = new Uint8Array(100_000).fill(7);
      let written = 0;
      while (written < 1000 && !socket.needsDrain) {
        socket.write(chunk);
        written++;
      }
      assert.ok(written < 100, `${written} chunks went somewhere`);
      socket.end();
      assert.equal(socket.writable, false);
      assert.equal(heard.drains, 0);
      let received = 0;
      let ended = false;
      peer.on("data", (data) => {
        received += data.length;
      });
      peer.on("end", () => {
        ended = true;
      });
      peer.resume();
      await until(() => ended);
      assert.equal(received, written * chunk.length);
      assert.ok(!socket.needsDrain);
      // and the other way is open still
      peer.write("late");
      await until(() => heard.text === "late");
    }));

  test(`what comes to a socket ${kind} before anybody attends is told then`, () =>
    withPair(async (socket, peer) => {
      peer.write("early");
      await pause(20);
      const heard = new Heard();
      socket.attend(heard);
      await until(() => heard.text === "early");
      peer.destroy();
      await until(() => heard.over);
      assert.equal(socket.needsDrain, false);
    }));

  test(`a socket ${kind} that is paused tells nothing until it is resumed`, () =>
    withPair(async (socket, peer) => {
      const heard = new Heard();
      socket.attend(heard);
      socket.pause();
      assert.ok(socket.isPaused);
      peer.write("x");
      await pause(50);
      assert.equal(heard.text, "");
      socket.resume();
      await until(() => heard.text === "x");
    }));
}

test("where nobody listens the error of connect(2) comes", () =>
  assert.rejects(connectSocket("/nowhere/socket"), (error) => errnoOf(error) === "ENOENT"));
