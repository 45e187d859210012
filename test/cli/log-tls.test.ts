/** Logs that go to a syslog daemon over TLS, which the test itself is. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { type Authority, makeAuthority } from "../lib/certificates.ts";
import { ended } from "../lib/command.ts";
import { receiveTls, type TlsReceiver } from "../lib/log-receivers.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { isOver } from "../shim/reading.ts";
import { withBusybox } from "./busybox.ts";

const limits = { skip: needs("root", "openssl"), timeout: 120_000 };

interface Place {
  readonly box: Sandbox;
  readonly authority: Authority;
  /** A receiver that proves who it is by a certificate of the authority. */
  listen(options?: { readonly port?: number; readonly asksClients?: boolean }): Promise<TlsReceiver>;
}

function withAuthority(body: (place: Place) => Promise<void>): Promise<void> {
  return withBusybox(async (box) => {
    const authority = await makeAuthority(join(box.dir, "certificates"));
    const { cert, key } = await authority.issue("receiver");
    await body({
      box,
      authority,
      listen: ({ port = 0, asksClients = false } = {}) =>
        receiveTls(
          { cert, key, ca: authority.cert, requestCert: asksClients, rejectUnauthorized: asksClients },
          { port, host: "127.0.0.1" },
        ),
    });
  });
}

const to = (port: number, ...options: readonly string[]) => [
  ...["--log-driver", "syslog", "--log-opt", `syslog-address=tcp+tls://127.0.0.1:${port}`],
  ...options.flatMap((option) => ["--log-opt", option]),
];
const trusting = ({ certFile }: Authority) => `syslog-tls-ca-cert=${certFile}`;
const text = (message: Buffer) => message.toString().replace(/^.*\]: /, "");

/** Processes that hold the connections of this test's containers. */
function relays(box: Sandbox): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && !isOver(Number(name)))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return words.includes(box.state) && words.includes("\0relay-log\0");
      } catch {
        return false;
      }
    })
    .map(Number);
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

function shimOf(box: Sandbox, id: string): number {
  return JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8")).shim;
}

function bytesLost(box: Sandbox, id: string): number {
  return JSON.parse(readFileSync(join(box.state, "containers", id, "exit.json"), "utf8")).logBytesLost;
}

/** `gantry serve`, once it says that all is in order. */
async function serving(box: Sandbox): Promise<ChildProcess> {
  const server = box.spawn(["serve"]);
  let said = "";
  server.stderr!.on("data", (data: Buffer) => {
    said += data;
  });
  await until("gantry serve to be ready", () => said.includes("serving"));
  return server;
}

/** A container that prints what the test tells it to: `say(line)`. */
async function talker(box: Sandbox, name: string, options: readonly string[]) {
  const folder = join(box.dir, name);
  mkdirSync(folder);
  const script =
    "n=0; while :; do if [ -e /said/$n ]; then cat /said/$n; n=$((n+1)); else sleep 0.02; fi; done";
  const volume = ["-v", `${folder}:/said`];
  const id = await box.must([
    "run",
    "-d",
    "--name",
    name,
    ...volume,
    ...options,
    "busybox",
    "sh",
    "-c",
    script,
  ]);
  let next = 0;
  const say = (line: string) => {
    writeFileSync(join(folder, "next"), `${line}\n`);
    writeFileSync(join(folder, String(next++)), `${line}\n`);
  };
  return { id, say };
}

test("every line arrives in order, the last one too, and nothing stays behind", limits, () =>
  withAuthority(async ({ box, authority, listen }) => {
    await using receiver = await listen();
    const script = "seq 1 20000; printf last";
    const run = ["run", "--rm", ...to(receiver.port, trusting(authority)), "busybox", "sh", "-c", script];
    const child = box.spawn(run);
    child.stdout!.resume();
    assert.equal(await ended(child), 0);
    const messages = await receiver.atLeast(20_001);
    const expected = Array.from({ length: 20_000 }, (_, index) => String(index + 1));
    assert.deepEqual(messages.map(text), [...expected, "last"]);
    await until("the relay to end", () => relays(box).length === 0);
  }),
);

test("messages of RFC 5424 come behind their length, others do not", limits, () =>
  withAuthority(async ({ box, authority, listen }) => {
    await using receiver = await listen();
    const sent = async (...options: string[]) => {
      const before = receiver.messages.length;
      const log = to(receiver.port, trusting(authority), ...options);
      await box.must(["run", "--rm", ...log, "busybox", "echo", "hällo"]);
      return (await receiver.atLeast(before + 1))[before]!;
    };
    for (const format of ["rfc5424", "rfc5424micro"]) {
      const message = await sent(`syslog-format=${format}`);
      const [, length, rest] = /^(\d+) (<30>1 .* - hällo)$/.exec(message.toString())!;
      // as docker counts: with the line feed
      assert.equal(Number(length), Buffer.byteLength(rest!) + 1);
    }
    assert.match((await sent("syslog-format=rfc3164")).toString(), /^<30>[A-Z].*: hällo$/);
    assert.match((await sent()).toString(), /^<30>[A-Z].*: hällo$/);
  }),
);

test("a receiver that is not proved fails the start, which leaves nothing", limits, () =>
  withAuthority(async ({ box, authority, listen }) => {
    await using receiver = await listen();
    const other = await makeAuthority(join(box.dir, "other"), "other");
    const elsewhere = await authority.issue("elsewhere", "DNS:elsewhere.example");
    await using wrong = await receiveTls(elsewhere);
    const closed = await listen();
    await closed[Symbol.asyncDispose]();
    const failures: readonly (readonly [port: number, options: readonly string[], reason: RegExp])[] = [
      [receiver.port, [trusting(other)], /self.signed certificate in certificate chain/],
      [receiver.port, [], /self.signed certificate in certificate chain/],
      [wrong.port, [trusting(authority)], /does not match certificate's altnames: .*127\.0\.0\.1/],
      [closed.port, [trusting(authority)], /connection refused/],
      [receiver.port, ["syslog-tls-ca-cert=/no/such"], /read "\/no\/such": no such file or directory/],
      [receiver.port, [`syslog-tls-ca-cert=${other.keyFile}`], /other\.key": there is no certificate in it/],
      [
        receiver.port,
        [`syslog-tls-cert=${other.certFile}`, `syslog-tls-key=${authority.keyFile}`],
        /key values mismatch/,
      ],
    ];
    for (const [port, options, reason] of failures) {
      const { code, stderr } = await box.gantry(["run", ...to(port, ...options), "busybox", "true"]);
      assert.equal(code, 125, stderr);
      const start = `gantry: failed to initialize logging driver: connect log to 127.0.0.1:${port}: `;
      assert.ok(stderr.startsWith(start), stderr);
      assert.match(stderr.split("\n")[0]!.slice(start.length), reason);
      assert.equal(await box.must(["ps", "-aq"]), "");
      await until("the relay to end", () => relays(box).length === 0);
    }
    assert.deepEqual(receiver.messages, []);
  }),
);

test("skip-verify takes any certificate, and false is not true", limits, () =>
  withAuthority(async ({ box, listen }) => {
    await using receiver = await listen();
    const run = (value: string) => {
      const log = to(receiver.port, `syslog-tls-skip-verify=${value}`);
      return box.gantry(["run", "--rm", ...log, "busybox", "echo", "hi"]);
    };
    assert.equal((await run("true")).code, 0);
    assert.equal(text((await receiver.atLeast(1))[0]!), "hi");
    const { code, stderr } = await run("false");
    assert.equal(code, 125);
    assert.match(stderr, /self.signed certificate/);
  }),
);

test("a receiver that asks for a certificate gets it, and without one the start fails", limits, () =>
  withAuthority(async ({ box, authority, listen }) => {
    await using receiver = await listen({ asksClients: true });
    const { certFile, keyFile } = await authority.issue("client");
    const log = to(receiver.port, trusting(authority));
    const proof = [`syslog-tls-cert=${certFile}`, `syslog-tls-key=${keyFile}`];
    const proved = to(receiver.port, trusting(authority), ...proof);
    await box.must(["run", "--rm", ...proved, "busybox", "echo", "hi"]);
    assert.equal(text((await receiver.atLeast(1))[0]!), "hi");
    const { code, stderr } = await box.gantry(["run", ...log, "busybox", "true"]);
    assert.equal(code, 125, stderr);
    assert.match(
      stderr,
      /^gantry: failed to initialize logging driver: connect log to 127\.0\.0\.1:\d+: .*certificate required/,
    );
  }),
);

test("a receiver that goes costs the container nothing, and gets lines again when it is back", limits, () =>
  withAuthority(async ({ box, authority, listen }) => {
    const first = await listen();
    const { id, say } = await talker(box, "app", to(first.port, trusting(authority)));
    say("one");
    await first.atLeast(1);
    await first[Symbol.asyncDispose]();
    // what is said now is in the file, and lost for the receiver
    for (const line of ["two", "three"]) {
      say(line);
      await until("the line in the file", async () => (await box.must(["logs", "app"])).endsWith(line));
    }
    await using second = await listen({ port: first.port });
    await until("a line to arrive again", () => {
      say("back");
      return second.messages.length > 0;
    });
    const [before] = relays(box);
    say("end");
    await until("the last one to arrive", () => second.messages.some((message) => text(message) === "end"));
    assert.deepEqual(relays(box), [before], "the same connection");
    await box.must(["stop", "-t", "0", "app"]);
    assert.ok(bytesLost(box, id) > 0, "what was lost is counted");
    await until("the relay to end", () => relays(box).length === 0);
    await box.must(["rm", "app"]);
  }),
);

test("a relay that is killed is started again, and one whose shim is killed ends", limits, () =>
  withAuthority(async ({ box, authority, listen }) => {
    await using receiver = await listen();
    const { id, say } = await talker(box, "app", to(receiver.port, trusting(authority)));
    const [relay] = relays(box);
    process.kill(relay!, "SIGKILL");
    await until("it to be gone", () => isOver(relay!));
    await until("a line to arrive", () => {
      say("again");
      return receiver.messages.length > 0;
    });
    assert.equal(relays(box).length, 1);
    process.kill(shimOf(box, id), "SIGKILL");
    await until("the relay to end", () => relays(box).length === 0, 5000);
    await box.must(["rm", "-f", "app"]);
  }),
);

test(
  "a receiver that takes nothing holds the output up, but neither stop nor the end of a shim",
  limits,
  () =>
    withAuthority(async ({ box, authority, listen }) => {
      await using receiver = await listen();
      receiver.takeNothing();
      const script =
        "yes 0123456789abcdef0123456789abcdef | head -c 16000000; echo done > /shared/done; sleep 600";
      const run = async (name: string, ...options: string[]) => {
        const log = to(receiver.port, trusting(authority), ...options);
        const volume = ["-v", `${join(box.dir, name)}:/shared`];
        return await box.must([
          "run",
          "-d",
          "--name",
          name,
          ...volume,
          ...log,
          "busybox",
          "sh",
          "-c",
          script,
        ]);
      };
      const held = await run("held");
      const killed = await run("killed");
      const free = await run("free", "mode=non-blocking", "max-buffer-size=64k");
      await until("the one that drops lines goes on", () => existsSync(join(box.dir, "free/done")), 60_000);
      assert.ok(!existsSync(join(box.dir, "held/done")), "the other one is held up");
      assert.equal(relays(box).length, 3);
      process.kill(shimOf(box, killed), "SIGKILL");
      await box.must(["stop", "-t", "0", "held", "free"]);
      for (const id of [held, free]) assert.ok(bytesLost(box, id) > 0, "what was lost is counted");
      // ten seconds, and no more, to deliver what they hold
      await until("the relays to end", () => relays(box).length === 0, 20_000);
      await box.must(["rm", "-f", "held", "free", "killed"]);
    }),
);

async function heldUp(box: Sandbox, name: string): Promise<void> {
  const last = () => box.must(["logs", "--tail", "1", name]);
  await until("output to be held up", async () => {
    const before = await last();
    await new Promise((resolve) => setTimeout(resolve, 300));
    return before !== "" && before === (await last());
  });
}

test("a receiver that takes nothing for a while gets every line", limits, () =>
  withAuthority(async ({ box, authority, listen }) => {
    await using receiver = await listen();
    receiver.takeNothing();
    const log = to(receiver.port, trusting(authority));
    await box.must(["run", "-d", "--name", "app", ...log, "busybox", "seq", "1", "200000"]);
    await heldUp(box, "app");
    receiver.takeAgain();
    const messages = await receiver.atLeast(200_000);
    assert.deepEqual(
      messages.map((message) => Number(text(message))),
      Array.from({ length: 200_000 }, (_, index) => index + 1),
    );
    await box.must(["rm", "-f", "app"]);
  }),
);

test("what the shim could hand on before its end arrives after it, and the rest is counted", limits, () =>
  withAuthority(async ({ box, authority, listen }) => {
    await using receiver = await listen();
    receiver.takeNothing();
    const log = to(receiver.port, trusting(authority));
    const id = await box.must(["run", "-d", "--name", "app", ...log, "busybox", "seq", "1000001", "1200000"]);
    await heldUp(box, "app");
    await box.must(["stop", "-t", "0", "app"]);
    assert.equal(relays(box).length, 1);
    receiver.takeAgain();
    await until("the relay to end", () => relays(box).length === 0);
    const arrived = receiver.messages.map((message) => Number(text(message)) - 1_000_000);
    assert.deepEqual(
      arrived,
      Array.from({ length: arrived.length }, (_, index) => index + 1),
    );
    const missing = Number(await box.must(["logs", "--tail", "1", "app"])) - 1_000_000 - arrived.length;
    const bytes = receiver.messages[0]!.length + 1;
    assert.equal(bytesLost(box, id), missing * bytes, `${missing} lines of ${bytes} bytes are missing`);
    await box.must(["rm", "app"]);
  }),
);

test("whoever is killed while a receiver does not answer, nothing stays", limits, () =>
  withBusybox(async (box) => {
    const silent = createServer((connection) => void connection.on("error", () => {}));
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const killed = async (whom: (client: number, executor: number, relay: number) => number) => {
      const client = box.spawn(["run", "--name", "app", ...to(port), "busybox", "true"]);
      let said = "";
      client.stderr!.on("data", (data: Buffer) => {
        said += data;
      });
      const over = once(client, "exit");
      const relay = await until("a relay to be there", () => relays(box)[0]);
      process.kill(whom(client.pid!, parentOf(relay), relay), "SIGKILL");
      await over;
      await until("the relay to end", () => relays(box).length === 0, 8000);
      await box.gantry(["rm", "-f", "app"]);
      assert.deepEqual(await box.leftovers(), []);
      return said;
    };
    await killed((client) => client);
    await killed((_, executor) => executor);
    const start = `gantry: failed to initialize logging driver: connect log to 127.0.0.1:${port}: `;
    const told = await killed((_, __, relay) => relay);
    assert.ok(told.startsWith(`${start}the program that passes it on has ended`), told);
    const { code, stderr } = await box.gantry(["run", ...to(port), "busybox", "true"]);
    assert.equal(code, 125);
    assert.ok(stderr.startsWith(`${start}connection timed out`), stderr);
    assert.equal(await box.must(["ps", "-aq"]), "");
    silent.close();
  }),
);

for (const served of [false, true])
  test(
    `each start has a connection of its own, also one that a policy asks for${served ? " of serve" : ""}`,
    limits,
    () =>
      withAuthority(async ({ box, authority, listen }) => {
        await using receiver = await listen();
        const server = served ? await serving(box) : undefined;
        const log = to(receiver.port, trusting(authority));
        await box.must([
          ...["run", "-d", "--name", "app", "--restart", "on-failure:2", ...log],
          ...["busybox", "sh", "-c", "echo life; exit 1"],
        ]);
        await receiver.atLeast(3);
        await until("the last life to be over", async () => {
          const status = await box.must(["inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "app"]);
          return status === "exited 2" && relays(box).length === 0;
        });
        await box.must(["restart", "app"]);
        await receiver.atLeast(4);
        assert.deepEqual(new Set(receiver.messages.map(text)), new Set(["life"]));
        await box.must(["rm", "-f", "app"]);
        if (!server) return;
        const over = ended(server);
        server.kill("SIGTERM");
        await over;
      }),
  );

test(
  "with another runtime the relay keeps no mount of the container",
  { ...limits, skip: limits.skip || needs("runc") },
  () =>
    withAuthority(async ({ box, authority, listen }) => {
      await using receiver = await listen();
      const log = to(receiver.port, trusting(authority));
      const { say } = await talker(box, "app", ["--runtime", "runc", ...log]);
      say("hi");
      await receiver.atLeast(1);
      const [relay] = relays(box);
      assert.equal(readlinkSync(`/proc/${relay}/ns/mnt`), readlinkSync("/proc/self/ns/mnt"));
      await box.must(["rm", "-f", "app"]);
      await until("the relay to end", () => relays(box).length === 0);
    }),
);
