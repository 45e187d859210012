/** `run` in the foreground with a terminal: what passes between the terminal outside and the one inside. */
import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { Peer, type PeerOptions, terminalPeer } from "../lib/terminal-peer.ts";
import { until } from "../lib/until.ts";
import { type Bundle, containerId, type Json, type Runtime, unready, withBundle } from "./bundle.ts";

const both = ["gantry-oci", "runc"] as const;
const skip = unready || needs(...terminalPeer.needs);

interface Driven {
  readonly runtime: Runtime;
  readonly bundle: Bundle;
  readonly id: string;
  /** Starts the runtime on a terminal; `which` of its streams are that terminal. */
  drive(which?: string, options?: PeerOptions): Promise<Peer>;
}

/** A bundle whose program has a terminal, and the means to run it on one. */
async function withTerminal(
  name: Runtime["name"],
  script: string,
  body: (driven: Driven) => Promise<void>,
  patch: Json = {},
): Promise<void> {
  const program = await terminalPeer.build();
  const process = { terminal: true, ...((patch.process ?? {}) as Json) };
  await withBundle(name, script, { ...patch, process }, async (runtime, bundle) => {
    const id = containerId();
    let peer: Peer | undefined;
    const drive = async (which = "012", options: PeerOptions = {}) => {
      const run = [...runtime.argv, "run", "--bundle", bundle.path, id];
      peer = new Peer(program, ["drive", which, "40", "120", ...run], options);
      await peer.prints(/^pid=/m);
      return peer;
    };
    try {
      await body({ runtime, bundle, id, drive });
    } finally {
      peer?.end();
    }
  });
}

/** Pid of the program that `drive` runs. */
const driverOf = (peer: Peer) => Number(/^pid=(\d+)/m.exec(peer.output)![1]);

for (const name of both) {
  test(
    `${name}: a program in the foreground speaks through the terminal outside, which is as before after it`,
    {
      skip,
    },
    () =>
      withTerminal(name, 'tty; read line; echo "got $line"; exit 7', async ({ drive }) => {
        const peer = await drive();
        await peer.prints(/\/dev\/pts\/0\r\n/);
        peer.type("hello\r");
        assert.deepEqual(await peer.driven(), { status: 7, restored: true });
        // echoed once, by the terminal inside; line ends made once, by the one outside
        assert.match(peer.output, /\n\/dev\/pts\/0\r\nhello\r\ngot hello\r\n$/);
      }),
  );

  test(`${name}: ^C is for the program inside`, { skip }, () =>
    withTerminal(name, "trap 'echo caught; exit 3' INT; echo ready; cat; cat", async ({ drive }) => {
      const peer = await drive();
      await peer.prints(/ready/);
      peer.type("hello\r");
      await peer.prints(/hello\r\nhello\r\n/);
      peer.type("\x03");
      assert.deepEqual(await peer.driven(), { status: 3, restored: true });
      assert.match(peer.output, /\^C.*caught/s);
    }),
  );

  test(`${name}: the size inside is that outside, and follows it`, { skip }, () =>
    withTerminal(
      name,
      "trap : WINCH; while ! test \"$(stty size 2>&1)\" = '40 120'; do :; done; echo first; while ! test \"$(stty size 2>&1)\" = '50 132'; do :; done; echo second",
      async ({ drive }) => {
        const peer = await drive();
        await peer.prints(/first/);
        peer.resize(50, 132);
        await peer.prints(/second/);
        assert.deepEqual(await peer.driven(), { status: 0, restored: true });
      },
    ),
  );

  test(`${name}: all that a program printed arrives, however fast it ends`, { skip }, () =>
    withTerminal(
      name,
      "i=0; while test $i -lt 20000; do echo line $i; i=$((i+1)); done",
      async ({ drive }) => {
        const peer = await drive();
        assert.equal((await peer.driven(60_000)).status, 0);
        const lines = peer.output.split(/\r?\n/).filter((line) => line.startsWith("line "));
        assert.equal(lines.length, 20_000);
        assert.equal(lines.at(-1), "line 19999");
      },
    ),
  );

  test(
    `${name}: one standard stream that is a terminal is enough; the others stay what they are`,
    {
      skip,
    },
    () =>
      withTerminal(name, 'tty; read line; echo "got $line"', async ({ bundle, drive }) => {
        const [input, output] = [join(bundle.files, "in"), join(bundle.files, "out")];
        writeFileSync(input, "from a file\n");
        const files = [openSync(input, "r"), openSync(output, "w")] as const;
        const peer = await drive("2", { files });
        assert.deepEqual(await peer.driven(), { status: 0, restored: true });
        for (const fd of files) closeSync(fd);
        // no carriage returns: those are the terminal's outside, which this did not pass; runc may come too late
        const text = readFileSync(output, "utf8");
        assert.match(
          name === "runc" ? text.replaceAll("\r", "") : text,
          /^(\/dev\/pts\/0|from a file)\n(\/dev\/pts\/0|from a file)\ngot from a file\n$/,
        );
        assert.equal(statSync(output).uid, 0);
      }),
  );

  test(`${name}: signals for the command are for the program`, { skip }, () =>
    withTerminal(
      name,
      "trap 'echo told; exit 4' TERM; echo ready; while :; do read line; done",
      async ({ drive }) => {
        const peer = await drive();
        await peer.prints(/ready/);
        process.kill(driverOf(peer), "SIGTERM");
        assert.deepEqual(await peer.driven(), { status: 4, restored: true });
        assert.match(peer.output, /told/);
      },
    ),
  );

  test(`${name}: without any terminal there is none to relay to`, { skip: skip || needs("setsid") }, () =>
    withTerminal(name, "true", async ({ runtime, bundle, id }) => {
      const run = [...runtime.argv, "run", "--bundle", bundle.path, id];
      const { code, stderr } = await command(["setsid", "--wait", ...run]);
      assert.equal(code, 1);
      assert.match(stderr, /open \/dev\/tty: no such device or address/);
    }),
  );

  test(`${name}: a command that is killed leaves no terminal behind`, { skip }, () =>
    withTerminal(name, "echo ready; cat; echo over > /out", async ({ runtime, bundle, id, drive }) => {
      const peer = await drive();
      await peer.prints(/ready/);
      const { stdout } = await runtime.call(["state", id]);
      const { pid } = JSON.parse(stdout) as { pid: number };
      process.kill(driverOf(peer), "SIGKILL");
      // its terminal hangs up, so it reads no more
      await until("the program to end", () => existsSync(join(bundle.rootfs, "out")));
      await until("its process to end", () => !existsSync(`/proc/${pid}/fd/0`));
      await runtime.call(["delete", "--force", id]);
      assert.match((await runtime.call(["state", id])).stderr, /does not exist/);
    }),
  );
}

test("a program that cannot be started leaves the terminal outside as it was", { skip }, () =>
  withTerminal(
    "gantry-oci",
    "",
    async ({ drive }) => {
      const peer = await drive();
      assert.deepEqual(await peer.driven(), { status: 1, restored: true });
      assert.match(peer.output, /executable file not found in \$PATH/);
    },
    { process: { args: ["nowhere"] } },
  ),
);

test("what is typed faster than the program reads waits, and all of it arrives", { skip }, () =>
  withTerminal(
    "gantry-oci",
    "stty raw -echo; echo ready; dd bs=1000 count=400 iflag=fullblock 2>/dev/null | wc -c",
    async ({ bundle, drive }) => {
      const peer = await drive();
      await peer.prints(/ready/);
      peer.type("x".repeat(400_000));
      await peer.prints(/^400000/m, 60_000);
      assert.equal((await peer.driven()).status, 0);
      assert.ok(existsSync(bundle.path));
    },
  ),
);

test(
  "a reader outside that stands still holds the program up, and a signal is heard all the same",
  {
    skip,
  },
  () =>
    withTerminal(
      "gantry-oci",
      "trap 'exit 9' TERM; while :; do echo y; done & wait",
      async ({ runtime, id, drive }) => {
        const peer = await drive();
        await peer.prints(/y\r\ny/);
        const { pid } = JSON.parse((await runtime.call(["state", id])).stdout) as { pid: number };
        // nobody reads what comes: everything between here and the program fills up
        peer.process.stdout!.pause();
        const writer = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
        let asleep = 0;
        await until("the program to be held up", () => {
          asleep = /\) S /.test(readFileSync(`/proc/${writer}/stat`, "utf8")) ? asleep + 1 : 0;
          return asleep > 5;
        });
        process.kill(driverOf(peer), "SIGTERM");
        await until("the program to end", () => !existsSync(`/proc/${pid}/fd/0`));
        peer.process.stdout!.resume();
        assert.equal((await peer.driven()).status, 9);
      },
    ),
);

test("a program that closes its terminal and opens it again is heard again", { skip }, () =>
  withTerminal(
    "gantry-oci",
    "exec <&- >&- 2>&-; sleep 0.3; exec < /dev/console > /dev/console; echo again",
    async ({ drive }) => {
      const peer = await drive();
      await peer.prints(/again/);
      assert.equal((await peer.driven()).status, 0);
    },
  ),
);
