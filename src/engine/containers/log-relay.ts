/**
 * Passes the log lines of one container on over TLS: the program of the plan's `relay-log`, on whose descriptor 0 its
 * shim writes (native/ops_forward.c).
 *
 *     shim                     relay                     receiver
 *       │ starts ───────────────►│ connects, verifies ─────►│
 *       │◄───── `+` or `-reason` │ (and tries on)           │
 *       │ lines ────────────────►│ ────────────────────────►│
 *       ✝ end of the stream ────►│ what it holds, then end ►│
 *
 * A connection that breaks is the relay's end: the shim starts another one. Loaded alone, since it stays in memory as
 * long as its container runs.
 */
import { readFileSync } from "node:fs";
import { connect, rootCertificates, type TLSSocket } from "node:tls";
import { errnoOf, GantryError, wrapErrno } from "../../base/error.ts";
import { socketOfDescriptor } from "../../base/stream-socket.ts";
import { errnoNumber, errnoWords } from "../../linux/errno.ts";
import type { SyslogTls } from "./log-config.ts";

export interface RelayTarget extends SyslogTls {
  readonly host: string;
  readonly port: number;
}

/** How long a receiver may take to accept a connection, certificates included. */
const connectMs = 5000;
const retryMs = 1000;
/** How long what is left may take when the shim has ended. */
const deliverMs = 10_000;
/** The least time in which a receiver may still refuse what was proved to it. */
const refusalMs = 100;

/** Resolves when there is nothing left to do. */
export function relayLog(target: RelayTarget): Promise<void> {
  return new Promise((done) => {
    const shim = socketOfDescriptor(0, { allowHalfOpen: true });
    let receiver: TLSSocket | undefined;
    let ending = false;
    const finish = () => {
      if (!receiver) return done();
      if (!ending) setTimeout(done, deliverMs);
      ending = true;
    };
    // a shim that was killed, while its receiver takes nothing; everything else that ends programs is for containers
    process.on("SIGHUP", finish);
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => {});
    shim.attend({
      data(chunk) {
        if (!receiver || receiver.write(chunk)) return;
        shim.pause();
        receiver.once("drain", () => shim.resume());
      },
      drained() {},
      ended() {
        finish();
        receiver?.end();
      },
    });
    const word = (text: string) => shim.write(Buffer.from(text));
    const attempt = (isFirst: boolean) => {
      connectReceiver(target).then(
        (socket) => {
          receiver = socket;
          socket.on("close", () => done());
          word("+");
        },
        (error) => {
          if (isFirst) word(`-${reasonOf(error)}\n`);
          setTimeout(attempt, retryMs, false);
        },
      );
    };
    attempt(true);
  });
}

/** Resolves when the receiver has taken the connection; rejects after `connectMs`. */
function connectReceiver({ host, port, ...tls }: RelayTarget): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const socket = connect({ host, port, minVersion: "TLSv1.2", ...secrets(tls) });
    const settled = (outcome: () => void) => {
      clearTimeout(limit);
      outcome();
    };
    const refused = (error: unknown) => {
      socket.destroy();
      settled(() => reject(error));
    };
    const limit = setTimeout(() => refused(new Error("connection timed out")), connectMs);
    socket.on("error", refused);
    socket.on("close", () => refused(new Error("it has closed the connection")));
    socket.on("secureConnect", () => {
      const taken = () => settled(() => resolve(socket));
      if (socket.getProtocol() !== "TLSv1.3") return taken();
      // the client is done before its certificate was looked at (RFC 8446, section 2): a ticket, or a time without a
      // refusal in which there could have been one, says that it was taken
      socket.once("session", taken);
      setTimeout(taken, Math.max(refusalMs, performance.now() - begun));
    });
  });
}

/** Read anew for each connection: certificates are renewed while containers run. */
function secrets({ caFile, certFile, keyFile, skipVerify }: SyslogTls) {
  return {
    rejectUnauthorized: !skipVerify,
    ...(caFile === undefined ? {} : { ca: [...rootCertificates, authorities(caFile)] }),
    ...(certFile === undefined ? {} : { cert: read(certFile) }),
    ...(keyFile === undefined ? {} : { key: read(keyFile) }),
  };
}

function authorities(path: string): string {
  const text = read(path);
  if (/^-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/m.test(text)) return text;
  throw new GantryError("invalid-argument", `read "${path}": there is no certificate in it`);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw wrapErrno(error, "read", path);
  }
}

/** One line that the shim has room for, without what the TLS libraries put around their reasons. */
function reasonOf(error: unknown): string {
  const errno = errnoOf(error);
  if (errno && errnoNumber(errno) !== undefined) return errnoWords(errno);
  const text = error instanceof Error ? error.message : String(error);
  const reason = /^(?:error:)?[0-9A-F]+:(?:error:[0-9A-F]+:)?[^:]*:[^:]*:([^:]+)/i.exec(text)?.[1];
  return (reason?.replaceAll("_", " ").toLowerCase() ?? text).replace(/\s+/g, " ").slice(0, 240);
}
