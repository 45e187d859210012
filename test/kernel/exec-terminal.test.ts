/** `exec` with a terminal: one more of the container's, for this process alone. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { needs } from "../lib/needs.ts";
import { Peer, terminalPeer } from "../lib/terminal-peer.ts";
import { until } from "../lib/until.ts";
import { unready } from "./bundle.ts";
import { type Running, withRunning } from "./running.ts";

const both = ["gantry-oci", "runc"] as const;
const skip = unready || needs(...terminalPeer.needs);

/** exec on a terminal of the test's own, in the foreground. */
async function drive({ runtime, id }: Running, flags: readonly string[], script: string): Promise<Peer> {
  const exec = [...runtime.argv, "exec", ...flags, id, "sh", "-c", script];
  return new Peer(await terminalPeer.build(), ["drive", "012", "40", "120", ...exec]);
}

for (const name of both) {
  test(
    `${name}: exec --tty speaks through the terminal outside, with its size, and leaves it as it was`,
    {
      skip,
    },
    () =>
      withRunning(name, {}, async (running) => {
        const script = [
          "tty; test -e /dev/console || echo no console",
          "while ! test \"$(stty size 2>&1)\" = '40 120'; do :; done; echo sized",
          'read line; echo "got $line"; exit 7',
        ].join("; ");
        const peer = await drive(running, ["--tty"], script);
        try {
          await peer.prints(/\/dev\/pts\/0\r\nno console\r\nsized\r\n/);
          peer.type("hello\r");
          assert.deepEqual(await peer.driven(), { status: 7, restored: true });
          assert.match(peer.output, /sized\r\nhello\r\ngot hello\r\n$/);
        } finally {
          peer.end();
        }
      }),
  );

  test(`${name}: ^C at the terminal outside is for the program of exec`, { skip }, () =>
    withRunning(name, {}, async (running) => {
      const script = "trap 'echo caught; exit 3' INT; echo ready; cat; cat";
      const peer = await drive(running, ["--tty"], script);
      try {
        // runc sets the terminal outside when the program runs already
        await peer.prints(/ready\r?\n/);
        peer.type("hello\r");
        await peer.prints(/hello\r\nhello\r\n/);
        peer.type("\x03");
        assert.deepEqual(await peer.driven(), { status: 3, restored: true });
      } finally {
        peer.end();
      }
    }),
  );

  test(
    `${name}: exec --detach --console-socket hands over the master of a terminal of the user's`,
    {
      skip,
    },
    () =>
      withRunning(name, {}, async (running) => {
        const socket = join(running.files, "console.sock");
        const peer = new Peer(await terminalPeer.build(), ["receive", socket]);
        try {
          await peer.prints(/^listening$/m);
          const file = join(running.files, "process.json");
          const script =
            "tty; stat -c '%u %t:%T' /dev/pts/0; cut -d' ' -f7 /proc/self/stat; trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done";
          writeFileSync(
            file,
            JSON.stringify({
              terminal: true,
              consoleSize: { height: 33, width: 101 },
              user: { uid: 1000, gid: 1000 },
              args: ["sh", "-c", script],
              env: ["PATH=/bin"],
              cwd: "/",
            }),
          );
          const flags = ["exec", "--detach", "--console-socket", socket, "--process", file, running.id];
          const { code, stderr } = await running.runtime.call(flags);
          assert.equal(code, 0, stderr);
          await peer.prints(/ready\r\n/);
          const terminal = (136 << 8) | 0;
          assert.equal(
            peer.output.replaceAll("\r", ""),
            `listening\npayload=/dev/ptmx number=0 rows=33 columns=101 onlcr=1\n/dev/pts/0\n1000 88:0\n${terminal}\nready\n`,
          );
          peer.resize(50, 132);
          await peer.prints(/^50 132\r$/m);
        } finally {
          peer.end();
        }
      }),
  );

  test(`${name}: each exec has a terminal of its own, which goes with it`, { skip }, () =>
    withRunning(name, {}, async (running) => {
      const peers = await Promise.all([0, 1].map(() => drive(running, ["--tty"], "tty; read line")));
      try {
        const names = await Promise.all(peers.map(async (peer) => (await peer.prints(/\/dev\/pts\/\d/))[0]));
        assert.deepEqual(names.sort(), ["/dev/pts/0", "/dev/pts/1"]);
        for (const peer of peers) peer.type("\r");
        await Promise.all(peers.map((peer) => peer.driven()));
        await until("the terminals to go", async () => (await running.shell("ls -1 /dev/pts")) === "ptmx\n");
      } finally {
        for (const peer of peers) peer.end();
      }
    }),
  );
}

test("an exec that comes again relays to the terminal that it has then", { skip }, () =>
  withRunning("gantry-oci", {}, async (running) => {
    const file = join(running.files, "process.json");
    const process = { terminal: true, args: ["tty"], env: ["PATH=/bin"], cwd: "/" };
    writeFileSync(file, JSON.stringify(process));
    const exec = [...running.runtime.argv, "exec", "--process", file, running.id];
    for (const which of ["2", "012", "012", "1", "0"]) {
      const args = ["drive", which, "40", "120", ...exec];
      const peer = new Peer(await terminalPeer.build(), args);
      try {
        const ended = await peer.driven();
        assert.deepEqual(ended, { status: 0, restored: true }, `${which}: ${peer.output}${peer.errors}`);
        if (which.includes("1")) assert.match(peer.output, /\/dev\/pts\/0\r\n$/, which);
      } finally {
        peer.end();
      }
    }
  }),
);

test("an exec whose container has put something else at /dev/pts gets no terminal", { skip }, () =>
  withRunning("gantry-oci", {}, async (running) => {
    const capable = { "--cap": "CAP_SYS_ADMIN" };
    const flags = Object.entries(capable).flat();
    // a file system of the container's own making over its devpts, with what looks like a multiplexer in it
    await running.shell("mkdir /trap && touch /trap/ptmx && mount --bind /trap /dev/pts", flags);
    const peer = await drive(running, ["--tty"], "echo reached");
    try {
      assert.equal((await peer.driven()).status, 255);
      assert.match(peer.output, /unable to setup the console: \/dev\/pts is not devpts/);
      assert.doesNotMatch(peer.output, /reached/);
    } finally {
      peer.end();
      await running.shell("umount /dev/pts", flags);
    }
  }),
);
