import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { decodeBody } from "./dbus-decode.ts";
import { encodeBody } from "./dbus-encode.ts";
import { type DBusMessage, DBusMessageReader, decodeMessage, encodeMessage } from "./dbus-message.ts";
import { type DBusValue, parseSignature } from "./dbus-types.ts";

interface Typed {
  readonly signature: string;
  readonly value: DBusValue;
}

const text = fc.string({ unit: "grapheme", maxLength: 20 }).map((value) => value.replaceAll("\0", ""));
const objectPath = fc
  .array(fc.stringMatching(/^[A-Za-z0-9_]{1,8}$/), { maxLength: 4 })
  .map((parts) => `/${parts.join("/")}`);

const basicValues: Readonly<Record<string, fc.Arbitrary<DBusValue>>> = {
  y: fc.nat({ max: 255 }),
  b: fc.boolean(),
  n: fc.integer({ min: -0x8000, max: 0x7fff }),
  q: fc.nat({ max: 0xffff }),
  i: fc.integer(),
  u: fc.nat({ max: 0xffffffff }),
  x: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  t: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  d: fc.double({ noNaN: true }),
  s: text,
  o: objectPath,
  g: fc.constantFrom("", "s", "a(st)", "a{sv}"),
};

/** Signatures of one value, three levels deep. */
const { type } = fc.letrec<{ type: string; basic: string }>((tie) => ({
  basic: fc.constantFrom(...Object.keys(basicValues)),
  type: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    tie("basic"),
    fc.constant("v"),
    tie("type").map((element) => `a${element}`),
    fc.array(tie("type"), { minLength: 1, maxLength: 3 }).map((members) => `(${members.join("")})`),
    fc.tuple(tie("basic"), tie("type")).map(([key, value]) => `a{${key}${value}}`),
  ),
}));

function ofType(node: ReturnType<typeof parseSignature>[number], depth = 0): fc.Arbitrary<DBusValue> {
  switch (node.kind) {
    case "basic":
      return basicValues[node.code]!;
    case "variant":
      return depth > 2
        ? fc.constant({ signature: "y", value: 7 })
        : type.chain((signature) =>
            ofType(parseSignature(signature)[0]!, depth + 1).map((value) => ({ signature, value })),
          );
    case "array":
      return fc.array(ofType(node.element, depth + 1), { maxLength: 4 });
    default:
      return fc.tuple(...node.members.map((member) => ofType(member, depth + 1)));
  }
}

const typed: fc.Arbitrary<Typed> = type.chain((signature) =>
  ofType(parseSignature(signature)[0]!).map((value) => ({ signature, value })),
);

test("every value of every type survives encoding and decoding", () => {
  fc.assert(
    fc.property(fc.array(typed, { maxLength: 4 }), (values) => {
      const signature = values.map((one) => one.signature).join("");
      const bytes = encodeBody(
        signature,
        values.map((one) => one.value),
      );
      assert.deepEqual(
        decodeBody(signature, bytes),
        values.map((one) => one.value),
      );
    }),
    { numRuns: 500 },
  );
});

test("bytes are as the specification has them", () => {
  const hex = (signature: string, ...values: DBusValue[]) =>
    Buffer.from(encodeBody(signature, values)).toString("hex");
  assert.equal(hex("u", 1), "01000000");
  assert.equal(hex("yu", 1, 2), "0100000002000000");
  assert.equal(hex("s", "foo"), "03000000666f6f00");
  assert.equal(hex("g", "a(st)"), "05612873742900");
  // eight bytes of element after four of padding, which the length does not count
  assert.equal(hex("at", [5n]), "08000000000000000500000000000000");
  assert.equal(hex("at", []), "0000000000000000");
  assert.equal(hex("v", { signature: "b", value: true }), "0162000001000000");
});

const sample: DBusMessage = {
  kind: "call",
  serial: 1,
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
  member: "StartTransientUnit",
  destination: "org.freedesktop.systemd1",
  signature: "ssa(sv)a(sa(sv))",
  body: ["a.scope", "fail", [["PIDs", { signature: "au", value: [4711] }]], []],
};

test("messages survive, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(typed, { minLength: 1, maxLength: 3 }), fc.array(fc.nat()), (bodies, cuts) => {
      const messages = bodies.map(
        ({ signature, value }, index): DBusMessage => ({
          ...sample,
          serial: index + 1,
          signature,
          body: [value],
        }),
      );
      const stream = Buffer.concat(messages.map(encodeMessage));
      const places = [...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
      const reader = new DBusMessageReader();
      let start = 0;
      const read = places.flatMap((end) => {
        const out = reader.push(stream.subarray(start, end));
        start = end;
        return out;
      });
      assert.deepEqual(read, messages);
    }),
  );
});

function refusesOrReads(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    assert.ok(isGantryError(error, "data-loss"), String(error));
  }
}

test("foreign bytes give values or data-loss, whatever they are", () => {
  const valid = encodeMessage(sample);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })), { maxLength: 8 }),
      fc.nat({ max: valid.length }),
      (changes, length) => {
        const bytes = Buffer.from(valid);
        for (const [at, byte] of changes) bytes[at] = byte;
        refusesOrReads(() => decodeMessage(bytes));
        refusesOrReads(() => new DBusMessageReader().push(bytes.subarray(0, length)));
      },
    ),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), type, (bytes, signature) =>
      refusesOrReads(() => decodeBody(signature, bytes)),
    ),
    { numRuns: 1000 },
  );
  fc.assert(fc.property(fc.string(), (signature) => refusesOrReads(() => parseSignature(signature))));
});

test("depth and size have limits", () => {
  const refused = (read: () => unknown, reason: RegExp) =>
    assert.throws(read, (error) => isGantryError(error, "data-loss") && reason.test(error.message));
  refused(() => parseSignature(`${"a".repeat(33)}y`), /too many arrays/);
  refused(() => parseSignature(`${"(".repeat(33)}y${")".repeat(33)}`), /too many structs/);
  refused(() => parseSignature("y".repeat(256)), /longer than 255/);
  refused(() => parseSignature("a{vs}"), /no basic type/);
  refused(() => parseSignature("()"), /no members/);
  // a variant in a variant in a variant…
  const nested = Buffer.concat([...Array<Buffer>(80).fill(Buffer.from("017600", "hex"))]);
  refused(() => decodeBody("v", nested), /nested too deeply/);
  const large = Buffer.from(encodeMessage(sample));
  large.writeUInt32LE(2 ** 31, 4);
  refused(() => new DBusMessageReader().push(large), /bytes are more than/);
  refused(() => decodeBody("au", Buffer.from("ffffff7f", "hex")), /longer than its message/);
});

test("both byte orders are read", () => {
  const bytes = Buffer.from("0000000100000006000000016100", "hex");
  assert.deepEqual(decodeBody("uas", bytes, false), [1, ["a"]]);
});
