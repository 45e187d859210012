/** Logs that go to a daemon, each over a socket that the test itself listens at. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { command, ended, must } from "../lib/command.ts";
import { type Receiver, receiveDatagrams, receiveStreams, receiveUdp } from "../lib/log-receivers.ts";
import { ownMounts } from "../lib/mount-namespace.ts";
import { needs } from "../lib/needs.ts";
import { gantryProgram, type Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const limits = { skip: needs("root", "cc"), timeout: 120_000 };

/** The fields of an entry in the journal's native protocol. */
function fieldsOf(entry: Buffer): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (let at = 0; at < entry.length; ) {
    const end = entry.indexOf(10, at);
    const line = entry.toString("latin1", at, end);
    const equals = line.indexOf("=");
    if (equals >= 0) {
      fields[line.slice(0, equals)] = line.slice(equals + 1);
      at = end + 1;
      continue;
    }
    const length = Number(entry.readBigUInt64LE(end + 1));
    fields[line] = entry.toString("latin1", end + 9, end + 9 + length);
    at = end + 9 + length + 1;
  }
  return fields;
}

/** A machine whose journal is a socket of the test's; `run` runs gantry there. */
async function withJournal(
  box: Sandbox,
  body: (run: (args: readonly string[]) => Promise<string>, journal: string) => Promise<void>,
): Promise<void> {
  const folder = join(box.dir, "journal");
  mkdirSync(folder);
  await using mounts = await ownMounts(
    `mount -t tmpfs tmpfs /run\nmkdir -p /run/systemd/journal\nmount --bind ${folder} /run/systemd/journal`,
  );
  const places = ["--root", box.root, "--state", box.state];
  await body(
    async (args) =>
      (await must([...mounts.enter, gantryProgram, ...places, ...args], { env: { ...box.env } })).trimEnd(),
    join(folder, "socket"),
  );
}

test(
  "journald gets every line with docker's fields, and logs reads them from the file beside it",
  limits,
  () =>
    withBusybox((box) =>
      withJournal(box, async (run, path) => {
        await using journal = await receiveDatagrams(path);
        const options = [
          "--log-driver",
          "journald",
          "--log-opt",
          "tag={{.Name}}!",
          "--log-opt",
          "labels=com.team",
        ];
        const script =
          "printf 'out \\377\\n'; sleep 0.05; echo err >&2; sleep 0.05; head -c 20000 /dev/zero | tr '\\0' x";
        const label = "com.team=two\nlines";
        await run(["run", "--name", "app", ...options, "-l", label, "busybox", "sh", "-c", script]);
        const id = await run(["inspect", "-f", "{{.Id}}", "app"]);
        const entries = (await journal.atLeast(4)).map(fieldsOf);
        assert.equal(entries.length, 4);
        const common = {
          CONTAINER_ID: id.slice(0, 12),
          CONTAINER_ID_FULL: id,
          CONTAINER_NAME: "app",
          CONTAINER_TAG: "app!",
          IMAGE_NAME: "busybox",
          SYSLOG_IDENTIFIER: "app!",
          COM_TEAM: "two\nlines",
          CONTAINER_LOG_EPOCH: entries[0]!.CONTAINER_LOG_EPOCH,
        };
        assert.match(common.CONTAINER_LOG_EPOCH!, /^[0-9a-f]{64}$/);
        const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
        for (const entry of entries) assert.match(entry.SYSLOG_TIMESTAMP!, time);
        const [first, second, third, fourth] = entries.map(({ SYSLOG_TIMESTAMP: _, ...rest }) => rest);
        assert.deepEqual(first, {
          ...common,
          PRIORITY: "6",
          CONTAINER_LOG_ORDINAL: "1",
          MESSAGE: "out \xff",
        });
        assert.deepEqual(second, { ...common, PRIORITY: "3", CONTAINER_LOG_ORDINAL: "2", MESSAGE: "err" });
        const part = third!.CONTAINER_PARTIAL_ID;
        assert.match(part!, /^[0-9a-f]{64}$/);
        const partial = (number: number, ordinal: string, bytes: number) => ({
          ...common,
          PRIORITY: "6",
          CONTAINER_LOG_ORDINAL: ordinal,
          CONTAINER_PARTIAL_ID: part,
          CONTAINER_PARTIAL_ORDINAL: String(number),
          // docker calls no part the last one where the output ends without a newline
          CONTAINER_PARTIAL_LAST: "false",
          CONTAINER_PARTIAL_MESSAGE: "true",
          MESSAGE: "x".repeat(bytes),
        });
        assert.deepEqual(third, partial(1, "3", 16384));
        assert.deepEqual(fourth, partial(2, "4", 20_000 - 16384));
        const logs = await box.gantry(["logs", "app"]);
        assert.deepEqual([logs.stdout, logs.stderr], [`out \ufffd\n${"x".repeat(20_000)}`, "err\n"]);
        assert.equal(await run(["inspect", "-f", "{{.HostConfig.LogConfig.Type}}", "app"]), "journald");
        await run(["rm", "app"]);
      }),
    ),
);

test("without journald a container does not start, and says why", limits, () =>
  withBusybox((box) =>
    withJournal(box, async (run, path) => {
      await run(["create", "--name", "app", "--log-driver", "journald", "busybox", "true"]);
      const message = "failed to initialize logging driver: journald is not enabled on this host";
      await assert.rejects(run(["start", "app"]), (error: Error) => error.message.includes(message));
      assert.equal(await run(["inspect", "-f", "{{.State.ExitCode}}", "app"]), "128");
      // one that was killed leaves its socket behind
      await using journal = await receiveDatagrams(path);
      await journal[Symbol.asyncDispose]();
      await assert.rejects(run(["start", "app"]), (error: Error) =>
        error.message.includes(
          "failed to initialize logging driver: connect log to /run/systemd/journal/socket: connection refused",
        ),
      );
      await run(["rm", "app"]);
    }),
  ),
);

test("what the file beside a daemon is told not to keep cannot be read", limits, () =>
  withBusybox(async (box) => {
    await using udp = await receiveUdp();
    const options = [
      ...["--log-driver", "syslog", "--log-opt", `syslog-address=udp://127.0.0.1:${udp.port}`],
      ...["--log-opt", "cache-disabled=true"],
    ];
    await box.must(["run", "--name", "app", ...options, "busybox", "echo", "hi"]);
    await udp.atLeast(1);
    const { code, stderr } = await box.gantry(["logs", "app"]);
    assert.deepEqual([code, stderr], [1, "gantry: configured logging driver does not support reading\n"]);
    await box.must(["rm", "app"]);
  }),
);

/** Runs a container whose lines go to `address`, and hands back its id and what arrived. */
async function sent(box: Sandbox, receiver: Receiver, address: string, ...options: readonly string[]) {
  const driver = ["--log-driver", "syslog", "--log-opt", `syslog-address=${address}`];
  const more = options.flatMap((option) => ["--log-opt", option]);
  const before = receiver.messages.length;
  const script = "echo out; sleep 0.05; echo err >&2";
  await box.must(["run", "--name", "app", ...driver, ...more, "busybox", "sh", "-c", script]);
  const id = await box.must(["inspect", "-f", "{{.Id}}", "app"]);
  const messages = (await receiver.atLeast(before + 2))
    .slice(before)
    .map((message) => message.toString().trimEnd());
  assert.equal((await box.gantry(["logs", "app"])).stdout, "out\n");
  await box.must(["rm", "app"]);
  return { id: id.slice(0, 12), messages };
}

const stamp = "[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d";
const rfc3339 = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d";
const zone = "(?:Z|[+-]\\d\\d:\\d\\d)";

test("syslog over a unix socket of datagrams and of streams", limits, () =>
  withBusybox(async (box) => {
    const path = join(box.dir, "log.sock");
    {
      await using receiver = await receiveDatagrams(path);
      const { id, messages } = await sent(box, receiver, `unixgram://${path}`);
      assert.match(messages[0]!, new RegExp(`^<30>${stamp} ${id}\\[\\d+\\]: out$`));
      assert.match(messages[1]!, new RegExp(`^<27>${stamp} ${id}\\[\\d+\\]: err$`));
    }
    const other = join(box.dir, `${"long".repeat(30)}.sock`);
    mkdirSync(join(box.dir, "deep"));
    {
      await using receiver = await receiveStreams({ path: join(box.dir, "stream.sock") });
      const { messages } = await sent(box, receiver, `unix://${join(box.dir, "stream.sock")}`, "tag=t");
      assert.match(messages[0]!, new RegExp(`^<30>${stamp} t\\[\\d+\\]: out$`));
    }
    const gone = await box.gantry([
      ...["run", "--log-driver", "syslog", "--log-opt", `syslog-address=unix://${other}`, "busybox", "true"],
    ]);
    assert.equal(gone.code, 125);
    assert.match(gone.stderr, new RegExp(`^gantry: stat ${other}: no such file or directory`));
  }),
);

test("syslog is at /dev/log unless told", limits, () =>
  withBusybox(async (box) => {
    const path = join(box.dir, "log.sock");
    await using receiver = await receiveDatagrams(path);
    const nodes = ["null 1 3", "zero 1 5", "full 1 7", "random 1 8", "urandom 1 9", "tty 5 0"]
      .map((node) => `mknod -m 666 /dev/${node.replace(" ", " c ")}`)
      .join("\n");
    await using mounts = await ownMounts(`mount -t tmpfs tmpfs /dev\n${nodes}\nln -s ${path} /dev/log`);
    const places = ["--root", box.root, "--state", box.state];
    const start = [...mounts.enter, gantryProgram, ...places, "run", "--rm", "--log-driver", "syslog"];
    const outcome = await command([...start, "busybox", "echo", "hi"], { env: { ...box.env } });
    assert.deepEqual([outcome.code, outcome.stdout], [0, "hi\n"], outcome.stderr);
    assert.match((await receiver.atLeast(1))[0]!.toString(), /^<30>.*: hi\n$/);
  }),
);

test("syslog over UDP and TCP, in the forms of RFC 3164 and RFC 5424, by facility and tag", limits, () =>
  withBusybox(async (box) => {
    const host = hostname();
    await using udp = await receiveUdp();
    const old = await sent(
      box,
      udp,
      `udp://127.0.0.1:${udp.port}`,
      "syslog-format=rfc3164",
      "syslog-facility=local3",
    );
    assert.match(old.messages[0]!, new RegExp(`^<158>${stamp} ${host} ${old.id}\\[\\d+\\]: out$`));
    assert.match(old.messages[1]!, new RegExp(`^<155>${stamp} ${host} ${old.id}\\[\\d+\\]: err$`));
    await using tcp = await receiveStreams();
    const options = ["syslog-format=rfc5424", "syslog-facility=1", "tag={{.Name}} x"];
    const modern = await sent(box, tcp, `tcp://localhost:${tcp.port}`, ...options);
    assert.match(modern.messages[0]!, new RegExp(`^<14>1 ${rfc3339}${zone} ${host} app_x \\d+ app_x - out$`));
    const micro = await sent(box, tcp, `tcp://127.0.0.1:${tcp.port}`, "syslog-format=rfc5424micro");
    assert.match(
      micro.messages[1]!,
      new RegExp(`^<27>1 ${rfc3339}(\\.\\d{1,6})?${zone} ${host} ${micro.id} \\d+ ${micro.id} - err$`),
    );
    await using six = await receiveUdp("::1");
    const wide = await sent(box, six, `udp://[::1]:${six.port}`);
    assert.match(wide.messages[0]!, /: out$/);
  }),
);

test(
  "a TCP receiver that is not there is an error of the start; one that goes costs the container nothing",
  limits,
  () =>
    withBusybox(async (box) => {
      const receiver = await receiveStreams();
      const address = `syslog-address=tcp://127.0.0.1:${receiver.port}`;
      const start = ["run", "-d", "--name", "app", "--log-driver", "syslog", "--log-opt", address];
      const go = join(box.dir, "shared");
      await box.must([
        ...[...start, "-v", `${go}:/shared`, "busybox", "sh", "-c"],
        "echo one; until [ -e /shared/go ]; do sleep 0.02; done; seq 1 5000; exit 3",
      ]);
      await receiver.atLeast(1);
      await receiver[Symbol.asyncDispose]();
      await must(["touch", join(go, "go")]);
      assert.equal(await box.must(["wait", "app"]), "3");
      assert.equal((await box.must(["logs", "app"])).split("\n").length, 5001);
      await box.must(["rm", "app"]);
      const refused = await box.gantry([...start, "busybox", "true"]);
      assert.equal(refused.code, 125);
      assert.match(
        refused.stderr,
        /^gantry: failed to initialize logging driver: connect log to 127\.0\.0\.1: connection refused/,
      );
      assert.equal(await box.must(["ps", "-aq"]), "");
    }),
);

function shimMemory(box: Sandbox, id: string): number {
  const record = JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8"));
  return Number(/^Rss: +(\d+) kB/m.exec(readFileSync(`/proc/${record.shim}/smaps_rollup`, "utf8"))![1]);
}

test(
  "a receiver that takes nothing holds the output up, but neither stop nor the shim's memory",
  limits,
  () =>
    withBusybox(async (box) => {
      const path = join(box.dir, "log.sock");
      await using receiver = await receiveDatagrams(path);
      process.kill(receiver.pid, "SIGSTOP");
      const driver = ["--log-driver", "syslog", "--log-opt", `syslog-address=unixgram://${path}`];
      const script =
        "yes 0123456789abcdef0123456789abcdef | head -c 8000000; echo done > /shared/done; sleep 600";
      const run = async (name: string, ...options: string[]) =>
        await box.must([
          ...["run", "-d", "--name", name, "-v", `${join(box.dir, name)}:/shared`, ...driver, ...options],
          ...["busybox", "sh", "-c", script],
        ]);
      const held = await run("held");
      const free = await run("free", "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=64k");
      await until("the one that drops lines goes on", () => existsSync(join(box.dir, "free/done")), 60_000);
      assert.ok(!existsSync(join(box.dir, "held/done")), "the other one is held up");
      assert.ok(shimMemory(box, held) < 1500, `${shimMemory(box, held)} KiB`);
      assert.ok(shimMemory(box, free) < 1500, `${shimMemory(box, free)} KiB`);
      await box.must(["stop", "-t", "0", "held", "free"]);
      for (const id of [held, free]) {
        const exit = JSON.parse(readFileSync(join(box.state, "containers", id, "exit.json"), "utf8"));
        assert.ok(exit.logBytesLost > 0, `what was lost is counted: ${JSON.stringify(exit)}`);
      }
      await box.must(["rm", "held", "free"]);
    }),
);

test("a slow receiver gets every line", limits, () =>
  withBusybox(async (box) => {
    const path = join(box.dir, "log.sock");
    await using receiver = await receiveDatagrams(path);
    const driver = ["--log-driver", "syslog", "--log-opt", `syslog-address=unixgram://${path}`];
    const child = box.spawn(["run", "--rm", ...driver, "busybox", "seq", "1", "20000"]);
    child.stdout!.resume();
    assert.equal(await ended(child), 0);
    const messages = await receiver.atLeast(20_000);
    assert.deepEqual(
      messages.map((message) => Number(/: (\d+)\n$/.exec(message.toString())![1])),
      Array.from({ length: 20_000 }, (_, index) => index + 1),
    );
  }),
);
