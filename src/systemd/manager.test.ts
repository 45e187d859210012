import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import { type DBusMessage, DBusMessageReader, encodeMessage } from "../wire/dbus-message.ts";
import type { DBusValue } from "../wire/dbus-types.ts";
import { type BusAddress, busAddresses, socketPath } from "./addresses.ts";
import { SystemdManager } from "./manager.ts";

type Answer = Omit<DBusMessage, "serial" | "body"> & { readonly body?: readonly DBusValue[] };

interface Peer {
  /** Member and arguments of every call, in order. */
  readonly calls: (readonly [member: string, ...body: readonly DBusValue[]])[];
  readonly socket: Socket;
}

const job = "/org/freedesktop/systemd1/job/7";
const owner = ":1.0";

function removed(result: string, more: Partial<DBusMessage> = {}): Answer {
  const body: readonly DBusValue[] = [7, job, "a.scope", result];
  const path = "/org/freedesktop/systemd1";
  const signal = { interface: "org.freedesktop.systemd1.Manager", member: "JobRemoved", signature: "uoss" };
  return { kind: "signal", path, sender: owner, ...signal, body, ...more };
}

const done: Answer = { kind: "reply", signature: "o", body: [job], sender: owner };
const empty: Answer = { kind: "reply", sender: owner };
const problem = (errorName: string): Answer => ({
  kind: "error",
  errorName,
  signature: "s",
  body: ["because"],
});

/** What systemd answers to everybody. */
function standard({ member, body }: DBusMessage): readonly Answer[] {
  if (member !== "Get") return [empty];
  const value = body[1] === "Version" ? "252.39-1~deb12u1" : "/user.slice/user@1.service";
  return [{ kind: "reply", signature: "v", body: [{ signature: "s", value }], sender: owner }];
}

/** Runs `body` with a manager whose systemd answers as `answers` says, else as usual. */
async function withPeer(
  answers: (call: DBusMessage, peer: Peer) => readonly Answer[] | undefined,
  body: (manager: SystemdManager, peer: Peer) => Promise<void>,
  kind: BusAddress["kind"] = "peer",
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "gantry-dbus-"));
  const path = join(dir, "socket");
  const calls: Peer["calls"] = [];
  let peer: Peer | undefined;
  const server = createServer((socket) => {
    peer = { calls, socket };
    socket.on("error", () => {});
    const reader = new DBusMessageReader();
    let text = "";
    let begun = false;
    let answered = 0;
    let serial = 0;
    socket.on("data", (chunk) => {
      const bytes: Uint8Array = chunk as Buffer;
      if (!begun) {
        text += Buffer.from(bytes).toString("latin1");
        const begin = text.indexOf("BEGIN\r\n");
        const said = text.match(/^(\0AUTH EXTERNAL|DATA)(?=\r\n)/gm) ?? [];
        for (const line of said.slice(answered))
          socket.write(line === "DATA" ? "OK 0123456789abcdef\r\n" : "DATA\r\n");
        answered = said.length;
        // so that whoever goes on at once sends more than one thing that is read together
        socket.pause();
        setTimeout(() => socket.resume(), 20);
        if (begin < 0) return;
        begun = true;
        // as sd-bus does: what was read with it waits until the socket has more
        if (begin + 7 < text.length) reader.push(Buffer.from(text.slice(begin + 7), "latin1"));
        return;
      }
      for (const call of reader.push(bytes)) {
        calls.push([call.member!, ...call.body]);
        for (const answer of answers(call, peer!) ?? standard(call))
          socket.write(
            encodeMessage({
              body: [],
              serial: ++serial,
              ...(answer.kind === "signal" ? {} : { replySerial: call.serial }),
              ...answer,
            }),
          );
      }
    });
  });
  try {
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await using manager = await SystemdManager.connect({ path, kind });
    await body(manager, peer!);
  } finally {
    peer?.socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    rmSync(dir, { recursive: true, force: true });
  }
}

const on =
  (member: string, ...answers: readonly Answer[]) =>
  (call: DBusMessage) =>
    call.member === member ? answers : undefined;

test("version and cgroup of the manager are known once it is connected", () =>
  withPeer(
    () => undefined,
    async (manager) => {
      assert.equal(manager.version, 252);
      assert.equal(manager.controlGroup, "/user.slice/user@1.service");
    },
  ));

for (const [name, answers] of [
  ["after the reply", [done, removed("done")]],
  ["before the reply", [removed("done"), done]],
] as const)
  test(`a unit is started when its job ends, also ${name}`, () =>
    withPeer(on("StartTransientUnit", ...answers), async (manager, { calls }) => {
      await manager.startTransientUnit("a.scope", [{ name: "PIDs", signature: "au", value: [7] }]);
      const properties = [["PIDs", { signature: "au", value: [7] }]];
      assert.deepEqual(calls.at(-1), ["StartTransientUnit", "a.scope", "replace", properties, []]);
    }));

test("a unit of that name that has failed makes room", () => {
  let tries = 0;
  return withPeer(
    ({ member }) => {
      if (member !== "StartTransientUnit") return undefined;
      return ++tries === 1 ? [problem("org.freedesktop.systemd1.UnitExists")] : [done, removed("done")];
    },
    async (manager, { calls }) => {
      await manager.startTransientUnit("a.scope", []);
      const members = calls.map(([member]) => member).slice(-3);
      assert.deepEqual(members, ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"]);
    },
  );
});

test("a unit that exists is an error with systemd's reason", () =>
  withPeer(on("StartTransientUnit", problem("org.freedesktop.systemd1.UnitExists")), async (manager) => {
    await assert.rejects(
      manager.startTransientUnit("a.scope", []),
      (error) => isGantryError(error, "already-exists") && /StartTransientUnit: because/.test(error.message),
    );
  }));

test("a job that ends otherwise is an error, and its unit is let go", () =>
  withPeer(on("StartTransientUnit", done, removed("failed")), async (manager, { calls }) => {
    await assert.rejects(
      manager.startTransientUnit("a.scope", []),
      /error creating systemd unit "a.scope": got "failed"/,
    );
    assert.deepEqual(calls.at(-1), ["ResetFailedUnit", "a.scope"]);
  }));

test("a unit lives if it is there and has not ended", () =>
  withPeer(
    ({ member, body, path }) => {
      if (member === "GetUnit")
        return body[0] === "none.scope"
          ? [problem("org.freedesktop.systemd1.NoSuchUnit")]
          : [{ kind: "reply", signature: "o", body: [`/${String(body[0]).replace(/\W/g, "_")}`] }];
      if (member !== "Get" || body[1] !== "ActiveState") return undefined;
      const value = path === "/dead_scope" ? "failed" : "deactivating";
      return [{ kind: "reply", signature: "v", body: [{ signature: "s", value }] }];
    },
    async (manager) => {
      const living = ["none.scope", "dead.scope", "a.scope"].map((name) => manager.isLiving(name));
      assert.deepEqual(await Promise.all(living), [false, false, true]);
    },
  ));

test("stopping a unit that is not there is fine", () =>
  withPeer(
    ({ member }) =>
      member === "StopUnit" || member === "ResetFailedUnit"
        ? [problem("org.freedesktop.systemd1.NoSuchUnit")]
        : undefined,
    async (manager, { calls }) => {
      await manager.stopUnit("a.scope");
      assert.deepEqual(
        calls.slice(-2).map(([member]) => member),
        ["StopUnit", "ResetFailedUnit"],
      );
    },
  ));

test("on a bus the end of a job is systemd's to tell", () =>
  withPeer(
    on("StartTransientUnit", done, removed("canceled", { sender: ":1.66" }), removed("done")),
    async (manager, { calls }) => {
      await manager.startTransientUnit("a.scope", []);
      assert.deepEqual(
        calls.slice(0, 3).map(([member]) => member),
        ["Hello", "AddMatch", "Subscribe"],
      );
    },
    "bus",
  ));

test("a connection that ends while a job runs ends the wait", () =>
  withPeer(
    (call, { socket }) => {
      if (call.member !== "StartTransientUnit") return undefined;
      socket.end();
      return [];
    },
    async (manager) => {
      await assert.rejects(manager.startTransientUnit("a.scope", []), (error) =>
        isGantryError(error, "unavailable"),
      );
    },
  ));

test("bytes that are no message end the connection with the reason", () =>
  withPeer(
    (call, { socket }) => {
      if (call.member !== "StopUnit") return undefined;
      socket.write(Buffer.alloc(32, 0xff));
      return [];
    },
    async (manager) => {
      await assert.rejects(manager.stopUnit("a.scope"), (error) => isGantryError(error, "data-loss"));
    },
  ));

test("a server that refuses is told of", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-dbus-"));
  const path = join(dir, "socket");
  const server = createServer((socket) => socket.resume().end("REJECTED COOKIE\r\n"));
  try {
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await assert.rejects(
      SystemdManager.connect({ path, kind: "peer" }),
      (error) => isGantryError(error, "unauthenticated") && /REJECTED/.test(error.message),
    );
    await assert.rejects(SystemdManager.connect({ path: join(dir, "none"), kind: "peer" }), (error) =>
      isGantryError(error, "not-found"),
    );
  } finally {
    await new Promise((resolve) => server.close(resolve));
    rmSync(dir, { recursive: true, force: true });
  }
});

test("root asks the system's systemd, a user the own one", () => {
  assert.deepEqual(
    busAddresses(false, {}).map(({ path }) => path),
    ["/run/systemd/private", "/run/dbus/system_bus_socket"],
  );
  const env = { XDG_RUNTIME_DIR: "/run/user/7", DBUS_SESSION_BUS_ADDRESS: "unix:path=/tmp/a%20b,guid=1" };
  assert.deepEqual(
    busAddresses(true, env).map(({ path }) => path),
    ["/run/user/7/systemd/private", "/tmp/a b"],
  );
  assert.equal(busAddresses(true, { XDG_RUNTIME_DIR: "/run/user/7" })[1]?.path, "/run/user/7/bus");
});

test("an address that is no path is passed over", () => {
  assert.equal(socketPath("unix:abstract=/tmp/x;unix:guid=1,path=/tmp/y"), "/tmp/y");
  assert.equal(socketPath("tcp:host=localhost"), undefined);
  assert.equal(socketPath("unix:path=/tmp/%zz"), undefined);
});
