/**
 * What frames mean, as typed values; pure. The other side is not trusted: a frame that is not of its
 * type's form is refused as data-loss.
 */
import { bug, GantryError } from "../base/error.ts";
import { replies, requests } from "../plan/protocol.ts";
import { encodeFrame, type Frame } from "./frames.ts";

/** Which streams a client asks for with `attach`. */
export interface AttachChoice {
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** The container's stdin ends when this connection ends, also when the client is killed. */
  readonly ownsStdin?: boolean;
  /** So does its process. */
  readonly ownsProcess?: boolean;
}

/** What a controller or client says. */
export type Request =
  | { readonly kind: "plan" | "stdin"; readonly bytes: Uint8Array }
  | { readonly kind: "go" | "abort" | "stdin-end" | "wait" | "disown" }
  | { readonly kind: "resize"; readonly rows: number; readonly columns: number }
  | { readonly kind: "hold"; readonly hold: boolean }
  | { readonly kind: "signal"; readonly signal: number; readonly all?: boolean }
  | ({ readonly kind: "attach" } & AttachChoice);

/** What the executor or shim says. A `failed` frame stays as it is: see decodeFailure. */
export type Reply =
  | { readonly kind: "sync" | "reported"; readonly point: number; readonly pid: number }
  | { readonly kind: "failed" | "entry" | "data" | "extents"; readonly payload: Uint8Array }
  | { readonly kind: "done" }
  | { readonly kind: "stdout" | "stderr"; readonly bytes: Uint8Array }
  | { readonly kind: "exit"; readonly code: number; readonly signal: number; readonly oomKilled: boolean }
  | { readonly kind: "answer"; readonly errno: number }
  | { readonly kind: "size"; readonly rows: number; readonly columns: number };

/** stdin is cut into frames of this length, so that its end need not wait behind megabytes. */
export const stdinFrameBytes = 32 * 1024;

const attachBits = { stdin: 1, stdout: 2, stderr: 4, ownsStdin: 8, ownsProcess: 16 } as const;
const nothing = new Uint8Array();

function kindsByType<K extends string>(table: Readonly<Record<K, number>>): ReadonlyMap<number, K> {
  return new Map(Object.entries(table).map(([kind, type]) => [type as number, kind as K]));
}

const requestKinds = kindsByType(requests);
const replyKinds = kindsByType(replies);

function words(...values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value, index * 4);
  });
  return bytes;
}

function payloadOf(request: Request): Uint8Array {
  switch (request.kind) {
    case "plan":
    case "stdin":
      return request.bytes;
    case "go":
    case "abort":
    case "stdin-end":
    case "wait":
    case "disown":
      return nothing;
    case "resize": {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt16LE(request.rows, 0);
      bytes.writeUInt16LE(request.columns, 2);
      return bytes;
    }
    case "hold":
      return words(request.hold ? 1 : 0);
    case "signal":
      return words(request.signal, request.all ? 1 : 0);
    case "attach": {
      let bits = 0;
      for (const [name, bit] of Object.entries(attachBits))
        if (request[name as keyof AttachChoice]) bits |= bit;
      return words(bits);
    }
    default:
      request satisfies never;
      bug("request kind");
  }
}

export function encodeRequest(request: Request): Uint8Array {
  return encodeFrame(requests[request.kind], payloadOf(request));
}

function malformed(reason: string): never {
  throw new GantryError("data-loss", `read frame: ${reason}`);
}

/** The payload, proven to have the length that its type has. */
function fixed(kind: string, { payload }: Frame, length: number): DataView {
  if (payload.length !== length) malformed(`${kind} has ${payload.length} bytes in place of ${length}`);
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** The counterpart of encodeRequest: for tests, and for whoever plays the executor. */
export function decodeRequest(frame: Frame): Request {
  const kind = requestKinds.get(frame.type) ?? malformed(`unknown request type ${frame.type}`);
  switch (kind) {
    case "plan":
    case "stdin":
      return { kind, bytes: frame.payload };
    case "go":
    case "abort":
    case "stdin-end":
    case "wait":
    case "disown":
      fixed(kind, frame, 0);
      return { kind };
    case "resize": {
      const view = fixed(kind, frame, 4);
      return { kind, rows: view.getUint16(0, true), columns: view.getUint16(2, true) };
    }
    case "hold":
      return { kind, hold: fixed(kind, frame, 4).getUint32(0, true) !== 0 };
    case "signal": {
      const view = fixed(kind, frame, 8);
      return { kind, signal: view.getUint32(0, true), all: (view.getUint32(4, true) & 1) === 1 };
    }
    case "attach": {
      const bits = fixed(kind, frame, 4).getUint32(0, true);
      const has = (name: keyof AttachChoice) => (bits & attachBits[name]) !== 0;
      return {
        kind,
        stdin: has("stdin"),
        stdout: has("stdout"),
        stderr: has("stderr"),
        ownsStdin: has("ownsStdin"),
        ownsProcess: has("ownsProcess"),
      };
    }
    default:
      kind satisfies never;
      bug("request kind");
  }
}

export function decodeReply(frame: Frame): Reply {
  const kind = replyKinds.get(frame.type) ?? malformed(`unknown reply type ${frame.type}`);
  switch (kind) {
    case "sync":
    case "reported": {
      const view = fixed(kind, frame, 8);
      return { kind, point: view.getUint32(0, true), pid: view.getUint32(4, true) };
    }
    case "failed":
    case "entry":
    case "data":
    case "extents":
      return { kind, payload: frame.payload };
    case "done":
      fixed(kind, frame, 0);
      return { kind };
    case "stdout":
    case "stderr":
      return { kind, bytes: frame.payload };
    case "exit": {
      const view = fixed(kind, frame, 12);
      const [code, signal, oom] = [0, 4, 8].map((at) => view.getUint32(at, true)) as [number, number, number];
      return { kind, code, signal, oomKilled: oom !== 0 };
    }
    case "answer":
      return { kind, errno: fixed(kind, frame, 4).getUint32(0, true) };
    case "size": {
      const view = fixed(kind, frame, 4);
      return { kind, rows: view.getUint16(0, true), columns: view.getUint16(2, true) };
    }
    default:
      kind satisfies never;
      bug("reply kind");
  }
}
