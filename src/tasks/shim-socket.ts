/** Connects to a shim's socket, whatever the length of its path and however early the caller comes. */
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { connectSocket } from "../base/stream-socket.ts";
import { FrameStream } from "../launch/frame-stream.ts";
import { shimSocketName } from "./records.ts";
import type { Cancellable } from "./task.ts";

/** Bytes that the address of a unix socket holds, without the NUL (unix(7)). */
const addressBytes = 107;

/** Longest payload that a shim sends: a chunk of output has 32 KiB. */
const replyBytes = 64 * 1024;

/**
 * Connects to the shim of `dir`; undefined if nobody listens there: its container has not come so far,
 * or is over.
 */
export async function connectShim(
  dir: string,
  { signal }: Cancellable = {},
): Promise<FrameStream | undefined> {
  signal?.throwIfAborted();
  const path = join(dir, shimSocketName);
  let folder: number | undefined;
  try {
    let address = path;
    if (Buffer.byteLength(path) > addressBytes) {
      folder = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
      address = `/proc/self/fd/${folder}/${shimSocketName}`;
    }
    const socket = await connectSocket(address, { allowHalfOpen: true });
    if (signal?.aborted) socket.destroy();
    signal?.throwIfAborted();
    return new FrameStream(socket, "talk to shim", replyBytes);
  } catch (error) {
    signal?.throwIfAborted();
    // ECONNRESET: it closed its socket with us in the queue
    if (["ENOENT", "ECONNREFUSED", "ECONNRESET"].includes(errnoOf(error) ?? "")) return undefined;
    // a backlog that is full for a moment; node knows no more than that
    if (errnoOf(error) === "EAGAIN")
      throw new GantryError("unavailable", `connect to shim "${path}": too many clients at once`, {
        cause: error,
      });
    throw wrapErrno(error, "connect to shim", path);
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}
