/**
 * Messages of D-Bus (D-Bus Specification, "Message Format"):
 *
 *     endianness, type, flags, version | length of body | serial | fields | padding to 8 | body
 *
 * Pure: bytes go in as they come, messages come out.
 */
import { bug } from "../base/error.ts";
import { DBusReader, decodeBody } from "./dbus-decode.ts";
import { DBusWriter, encodeBody } from "./dbus-encode.ts";
import { type DBusValue, type DBusVariant, malformed, parseSingleType } from "./dbus-types.ts";

export const messageTypes = { call: 1, reply: 2, error: 3, signal: 4 } as const;

export type MessageKind = keyof typeof messageTypes;

/** Header fields by number, with their types. */
const fields = {
  path: [1, "o"],
  interface: [2, "s"],
  member: [3, "s"],
  errorName: [4, "s"],
  replySerial: [5, "u"],
  destination: [6, "s"],
  sender: [7, "s"],
  signature: [8, "g"],
} as const;

export interface DBusMessage {
  readonly kind: MessageKind;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly errorName?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly sender?: string;
  readonly signature?: string;
  readonly body: readonly DBusValue[];
}

const fieldsType = parseSingleType("a(yv)");
const fixedBytes = 16;

export function encodeMessage(message: DBusMessage): Uint8Array {
  const body = encodeBody(message.signature ?? "", message.body);
  const writer = new DBusWriter();
  const byte = parseSingleType("y");
  const word = parseSingleType("u");
  for (const value of ["l".charCodeAt(0), messageTypes[message.kind], 0, 1]) writer.value(byte, value);
  writer.value(word, body.length);
  writer.value(word, message.serial);
  const present = Object.entries(fields).flatMap(([name, [number, signature]]) => {
    const value = message[name as keyof typeof fields];
    return value === undefined ? [] : [[number, { signature, value }]];
  });
  writer.value(fieldsType, present);
  writer.align(8);
  return Buffer.concat([writer.finish(), body]);
}

/** Where required fields are missing, the message is none. */
function check(message: DBusMessage): DBusMessage {
  const wants: Readonly<Record<MessageKind, readonly (keyof typeof fields)[]>> = {
    call: ["path", "member"],
    reply: ["replySerial"],
    error: ["replySerial", "errorName"],
    signal: ["path", "interface", "member"],
  };
  for (const name of wants[message.kind])
    if (message[name] === undefined) malformed(`a ${message.kind} without ${name}`);
  if (message.serial === 0) malformed("serial 0");
  return message;
}

/** Decodes one whole message; undefined for a type that this version of the protocol does not know. */
export function decodeMessage(bytes: Uint8Array): DBusMessage | undefined {
  const { littleEndian, headerBytes } = measure(bytes) ?? malformed("it is cut short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new DBusReader(bytes.subarray(0, headerBytes), littleEndian, 12);
  const found: Record<string, DBusValue> = {};
  for (const pair of reader.value(fieldsType) as readonly (readonly [number, DBusVariant])[]) {
    const [number, { signature, value }] = pair;
    const field = Object.entries(fields).find(([, [known]]) => known === number);
    if (!field) continue; // unknown fields are to be passed over
    if (field[1][1] !== signature) malformed(`field ${field[0]} of type ${signature}`);
    found[field[0]] = value;
  }
  reader.align(8);
  const kind = Object.entries(messageTypes).find(([, type]) => type === view.getUint8(1))?.[0];
  if (kind === undefined) return view.getUint8(1) === 0 ? malformed("type 0") : undefined;
  const signature = (found.signature ?? "") as string;
  const body = decodeBody(signature, bytes.subarray(headerBytes), littleEndian);
  const serial = view.getUint32(8, littleEndian);
  return check({ ...found, kind: kind as MessageKind, serial, body });
}

interface Measures {
  readonly littleEndian: boolean;
  readonly headerBytes: number;
  readonly wholeBytes: number;
}

/** The lengths that a message's first 16 bytes state; undefined if these are not all there. */
function measure(bytes: Uint8Array): Measures | undefined {
  if (bytes.length < fixedBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const letter = String.fromCharCode(view.getUint8(0));
  if (letter !== "l" && letter !== "B") malformed("neither endianness");
  if (view.getUint8(3) !== 1) malformed(`protocol version ${view.getUint8(3)}`);
  const littleEndian = letter === "l";
  const headerBytes = Math.ceil((fixedBytes + view.getUint32(12, littleEndian)) / 8) * 8;
  return { littleEndian, headerBytes, wholeBytes: headerBytes + view.getUint32(4, littleEndian) };
}

/** What one message may have: systemd's answers to what is asked here are some kilobytes. */
const largestMessageBytes = 1024 * 1024;

/** Cuts a stream into messages. */
export class DBusMessageReader {
  readonly #limitBytes: number;
  #rest: Uint8Array = new Uint8Array();

  constructor(limitBytes = largestMessageBytes) {
    if (limitBytes < fixedBytes) bug("a limit below the shortest message");
    this.#limitBytes = limitBytes;
  }

  push(chunk: Uint8Array): readonly DBusMessage[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: DBusMessage[] = [];
    for (;;) {
      const measures = measure(bytes);
      if (measures && measures.wholeBytes > this.#limitBytes)
        malformed(`${measures.wholeBytes} bytes are more than ${this.#limitBytes}`);
      if (!measures || bytes.length < measures.wholeBytes) break;
      const message = decodeMessage(bytes.subarray(0, measures.wholeBytes));
      if (message) messages.push(message);
      bytes = bytes.subarray(measures.wholeBytes);
    }
    this.#rest = bytes;
    return messages;
  }
}
