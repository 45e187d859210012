/**
 * One D-Bus connection over a unix socket: authentication, method calls with deadlines, signals.
 *
 *     NUL AUTH EXTERNAL, DATA, BEGIN ──►    the server takes the user from the socket (SO_PEERCRED), so no uid is
 *                      ◄── DATA, OK guid    said: inside a user namespace we would not know the right one
 *     messages both ways
 *
 * BEGIN goes ahead, as systemd's own clients have it. Where systemd reads it together with a call, that lies in its
 * buffer until something else comes (sd-bus waits for the socket, not for what it has read), and no answer does.
 */
import { connect, type Socket } from "node:net";
import { GantryError, wrapErrno } from "../base/error.ts";
import { type DBusMessage, DBusMessageReader, encodeMessage } from "../wire/dbus-message.ts";
import type { DBusValue } from "../wire/dbus-types.ts";

const connectMs = 10_000;
const callMs = 30_000;
const longestAnswer = 4096;

export interface MethodCall {
  readonly destination?: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly DBusValue[];
}

interface Waiter {
  readonly resolve: (message: DBusMessage) => void;
  readonly reject: (error: unknown) => void;
}

/** Settles with `promise`, or fails at the deadline. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new GantryError("deadline-exceeded", `${what}: no answer within ${ms / 1000} s`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export class DBusConnection implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #reader = new DBusMessageReader();
  readonly #waiting = new Map<number, Waiter>();
  #handshake: { text: string; readonly waiter: Waiter } | undefined;
  #error: unknown;
  #serial = 0;

  /** Told of every signal that arrives. */
  onSignal: (message: DBusMessage) => void = () => {};
  /** Told when the connection ends, with the reason. */
  onEnd: (error: unknown) => void = () => {};

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    socket.on("error", (error) => this.#end(wrapErrno(error, "talk to systemd", path)));
    socket.on("close", () => this.#end(this.#lost()));
  }

  /** Connects and authenticates. */
  static async open(path: string): Promise<DBusConnection> {
    const socket = connect(path);
    const connection = new DBusConnection(socket, path);
    const opened = new Promise<DBusMessage>((resolve, reject) => {
      connection.#handshake = { text: "", waiter: { resolve, reject } };
      socket.once("connect", () => socket.write("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"));
    });
    try {
      await within(connectMs, `connect to "${path}"`, opened);
      return connection;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Calls a method; an error reply becomes an error whose detail has its D-Bus name. */
  async call(method: MethodCall): Promise<DBusMessage> {
    if (this.#error !== undefined) throw this.#error;
    const serial = ++this.#serial;
    const replied = new Promise<DBusMessage>((resolve, reject) =>
      this.#waiting.set(serial, { resolve, reject }),
    );
    this.#socket.write(encodeMessage({ kind: "call", serial, body: [], ...method }));
    try {
      const reply = await within(callMs, method.member, replied);
      if (reply.kind === "error") throw callError(method, reply);
      return reply;
    } finally {
      this.#waiting.delete(serial);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    this.#end(this.#lost());
  }

  #lost(): GantryError {
    return new GantryError("unavailable", `talk to systemd "${this.#path}": the connection was closed`);
  }

  #receive(chunk: Uint8Array): void {
    try {
      const bytes = this.#handshake ? this.#authenticate(chunk) : chunk;
      for (const message of this.#reader.push(bytes)) {
        if (message.kind === "signal") this.onSignal(message);
        else this.#waiting.get(message.replySerial ?? 0)?.resolve(message);
      }
    } catch (error) {
      this.#end(error);
      this.#socket.destroy();
    }
  }

  /** Takes part in the handshake line by line; hands back what came after it. */
  #authenticate(chunk: Uint8Array): Uint8Array {
    const handshake = this.#handshake!;
    handshake.text += Buffer.from(chunk).toString("latin1");
    for (;;) {
      const end = handshake.text.indexOf("\r\n");
      if (end < 0) {
        if (handshake.text.length > longestAnswer) this.#refused("a line without end");
        return new Uint8Array();
      }
      const line = handshake.text.slice(0, end);
      handshake.text = handshake.text.slice(end + 2);
      if (line.startsWith("OK ")) {
        this.#handshake = undefined;
        handshake.waiter.resolve({ kind: "reply", serial: 0, body: [] });
        return Buffer.from(handshake.text, "latin1");
      } else if (line !== "DATA" && !line.startsWith("DATA ")) this.#refused(line.slice(0, 100));
    }
  }

  #refused(answer: string): never {
    throw new GantryError(
      "unauthenticated",
      `authenticate with systemd "${this.#path}": ${JSON.stringify(answer)}`,
    );
  }

  #end(error: unknown): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#handshake?.waiter.reject(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.onEnd(error);
  }
}

function callError(method: MethodCall, { errorName = "", body }: DBusMessage): GantryError {
  const text = typeof body[0] === "string" ? body[0] : errorName;
  const code = errorName.endsWith(".UnitExists")
    ? "already-exists"
    : /\.(NoSuchUnit|UnknownObject)$/.test(errorName)
      ? "not-found"
      : /\.(AccessDenied|InteractiveAuthorizationRequired)$/.test(errorName)
        ? "permission-denied"
        : "failed-precondition";
  return new GantryError(code, `${method.member}: ${text}`, { detail: { dbusError: errorName } });
}
