/** An attachment over a connection to a shim, be it the launching one or one of its socket. */
import { GantryError } from "../base/error.ts";
import type { Frame } from "../launch/frames.ts";
import { decodeReply, type Reply, type Request, stdinFrameBytes } from "../launch/messages.ts";
import { errnoName } from "../linux/errno.ts";
import type { ExitRecord } from "./records.ts";
import type { Attachment, Cancellable, Output } from "./task.ts";

/** What an attachment needs of a connection. */
export interface Connection {
  send(request: Request, options?: Cancellable): Promise<void>;
  next(options?: Cancellable): Promise<Frame | undefined>;
  close(): void;
}

async function* outputOf(
  connection: Connection,
  told: (exit: ExitRecord) => void,
): AsyncGenerator<Output, void, undefined> {
  try {
    for (;;) {
      const frame = await connection.next();
      if (frame === undefined) return;
      const reply = decodeReply(frame);
      if (reply.kind === "stdout" || reply.kind === "stderr")
        yield { stream: reply.kind, bytes: reply.bytes };
      else if (reply.kind === "exit") return told(exitRecordOf(reply));
      else if (reply.kind === "answer" && reply.errno !== 0)
        throw new GantryError("unavailable", `attach to container: ${errnoName(reply.errno)}`);
    }
  } finally {
    connection.close();
  }
}

/** What the shim says of the end; the exact time stands in the record on disk. */
export function exitRecordOf({ code, signal, oomKilled }: Extract<Reply, { kind: "exit" }>): ExitRecord {
  return { code, signal, oomKilled, exitedAt: new Date().toISOString() };
}

/** Wraps a connection that has sent, or is about to send, its `attach`. */
export function attachmentOver(connection: Connection): Attachment {
  let ended: ExitRecord | undefined;
  return {
    output: outputOf(connection, (exit) => {
      ended = exit;
    }),
    exit: () => ended,
    async write(bytes, options) {
      for (let at = 0; at < bytes.length; at += stdinFrameBytes)
        await connection.send({ kind: "stdin", bytes: bytes.subarray(at, at + stdinFrameBytes) }, options);
    },
    endStdin: (options) => connection.send({ kind: "stdin-end" }, options),
    async [Symbol.asyncDispose]() {
      connection.close();
    },
  };
}
