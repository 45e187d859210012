import assert from "node:assert/strict";
import test from "node:test";
import { encodeCriuRequest } from "./criu-request.ts";
import { plainCriuFlags as flags } from "./testing.ts";

type Decoded = Map<number, (number | Buffer)[]>;

/** As any reader of protocol buffers sees it: values by the number of their field. */
function decode(bytes: Uint8Array): Decoded {
  const fields: Decoded = new Map();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const value = varint();
    const field = fields.get(key >> 3) ?? [];
    fields.set(key >> 3, field);
    const isNumber = (key & 7) === 0;
    field.push(isNumber ? value : Buffer.from(bytes.subarray(at, at + value)));
    if (!isNumber) at += value;
  }
  return fields;
}

const texts = (field: (number | Buffer)[] | undefined) => field?.map(String);

test("a dump asks for the process, its directories by descriptor, and mounts from outside by name", () => {
  const request = decode(
    encodeCriuRequest({
      kind: "dump",
      flags: { ...flags, tcpEstablished: true, pageServer: { address: "host", port: 99 } },
      log: "dump.log",
      pid: 300,
      root: "/root",
      leaveRunning: true,
      mounts: new Map([["/data", "/data"]]),
      external: ["net[7]:extRootNetNS"],
    }),
  );
  assert.deepEqual(request.get(1), [1]);
  const options = decode(request.get(2)![0] as Buffer);
  assert.deepEqual([options.get(1), options.get(17), options.get(2)], [[4], [5], [300]]);
  assert.deepEqual([options.get(3), options.get(5), options.get(7)], [[1], [1], undefined]);
  assert.deepEqual(texts(options.get(10)), ["dump.log"]);
  assert.deepEqual(options.get(26), undefined, "no sibling is made");
  const mount = decode(options.get(23)![0] as Buffer);
  assert.deepEqual([texts(mount.get(1)), texts(mount.get(2))], [["/data"], ["/data"]]);
  const server = decode(options.get(11)![0] as Buffer);
  assert.deepEqual([texts(server.get(1)), server.get(2)], [["host"], [99]]);
  assert.deepEqual(texts(options.get(37)), ["net[7]:extRootNetNS"]);
});

test("a restore makes the process a child of ours, in its own cgroups and with the caller's pipes", () => {
  const request = decode(
    encodeCriuRequest({
      kind: "restore",
      flags: { ...flags, cgroupMode: "ignore", emptyNamespaces: 0x40000000 },
      log: "restore.log",
      root: "/state/root",
      mounts: new Map(),
      inherited: [{ name: "pipe:[7]", fd: 1 }],
      cgroups: [{ controller: "memory", path: "/a" }, { path: "/b" }],
    }),
  );
  assert.deepEqual(request.get(1), [2]);
  const options = decode(request.get(2)![0] as Buffer);
  assert.deepEqual([options.get(26), options.get(34), options.get(38)], [[1], [0], [0x40000000]]);
  const inherited = decode(options.get(27)![0] as Buffer);
  assert.deepEqual([texts(inherited.get(1)), inherited.get(2)], [["pipe:[7]"], [1]]);
  const roots = options.get(25)!.map((root) => decode(root as Buffer));
  assert.deepEqual(
    roots.map((root) => [texts(root.get(1)), texts(root.get(2))]),
    [
      [["memory"], ["/a"]],
      [undefined, ["/b"]],
    ],
  );
});

test("memory is tracked for what builds on another dump, or is built on", () => {
  const trackMemory = (kind: "dump" | "pre-dump", parent?: string) => {
    const bytes = encodeCriuRequest({ kind, flags, log: "l", root: "/", mounts: new Map(), parent });
    return decode(decode(bytes).get(2)![0] as Buffer).get(15);
  };
  assert.deepEqual(
    [trackMemory("dump"), trackMemory("pre-dump"), trackMemory("dump", "../a")],
    [undefined, [1], [1]],
  );
});
