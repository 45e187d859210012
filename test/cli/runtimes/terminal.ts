/** Containers and execs with a terminal, whose master the runtime hands to the shim. */
import assert from "node:assert/strict";
import { terminalPeer } from "../../lib/terminal-peer.ts";
import { driving, shown } from "../on-terminal.ts";
import type { Case } from "./trial.ts";

const ready = "trap 'echo caught' INT; trap 'stty size' WINCH; trap 'exit 7' QUIT; echo ready;";
/** Traps are looked at after every command. */
const rest = "while :; do sleep 0.05; done";

export const terminals: readonly Case[] = [
  {
    title: "run -it: size, typed lines, signals from the keyboard, and the log",
    needs: terminalPeer.needs,
    async run({ box, options }) {
      const script = `${ready} tty; stty size; echo $TERM; ls -l /dev/console | cut -c1; read a; echo "[$a]"; ${rest}`;
      const run = ["run", "-it", "--name", "box", ...options, "busybox", "sh", "-c", script];
      await driving(box, run, async (peer) => {
        await peer.prints(/ready\r\n\/dev\/pts\/0\r\n40 120\r\nxterm\r\nc\r\n/);
        peer.type("typed\r");
        await peer.prints(/typed\r\n\[typed\]\r\n/);
        peer.resize(20, 60);
        await peer.prints(/20 60\r\n/);
        peer.type("\x03");
        await peer.prints(/caught\r\n/);
        peer.type("\x1c");
        assert.deepEqual(await peer.driven(), { status: 7, restored: true });
        assert.ok(!shown(peer).includes("\r\r"), "carriage returns are added once");
      });
      assert.match((await box.gantry(["logs", "box"])).stdout, /^ready\r\n\/dev\/pts\/0\r\n/);
      await box.must(["rm", "box"]);
    },
  },
  {
    title: "the detach keys let go of a terminal, which can be attached to again, by two at once",
    needs: terminalPeer.needs,
    async run({ box, options }) {
      const script = `${ready} while :; do read line && echo "[$line]"; done`;
      await driving(
        box,
        ["run", "-it", "--name", "box", ...options, "busybox", "sh", "-c", script],
        async (peer) => {
          await peer.prints(/ready/);
          peer.type("a\r");
          await peer.prints(/\[a\]/);
          peer.type("\x10\x11");
          assert.deepEqual(await peer.driven(), { status: 0, restored: true });
        },
      );
      await driving(box, ["attach", "--detach-keys", "ctrl-x,q", "box"], async (first) => {
        await first.prints(/40 120/);
        await driving(box, ["attach", "box"], async (second) => {
          await second.prints(/40 120/);
          second.type("both\r");
          for (const peer of [first, second]) await peer.prints(/\[both\]/);
          second.type("\x10\x11");
          assert.deepEqual(await second.driven(), { status: 1, restored: true });
        });
        first.type("\x18q");
        assert.deepEqual(await first.driven(), { status: 1, restored: true });
      });
      assert.equal(await box.must(["inspect", "-f", "{{.State.Status}}", "box"]), "running");
      await box.must(["stop", "-t", "0", "box"]);
      await driving(box, ["start", "-ai", "box"], async (peer) => {
        await peer.prints(/ready/);
        peer.type("\x1c");
        assert.deepEqual(await peer.driven(), { status: 7, restored: true });
      });
      await box.must(["rm", "box"]);
    },
  },
  {
    title: "exec -it: a terminal of its own; the detach keys leave its program running",
    needs: terminalPeer.needs,
    async run({ box, options }) {
      await box.must(["run", "-d", "--name", "box", ...options, "busybox", "sleep", "1000"]);
      const exec = ["exec", "-it", "-e", "A=1", "-u", "1000", "-w", "/tmp", "box", "sh", "-c"];
      // crun begins the program before anybody can say how large its terminal is
      const sized = "until test \"$(stty size)\" = '40 120'; do sleep 0.01; done;";
      const script = `${sized} ${ready} tty; stty size; echo $TERM$A; id -u; pwd; ${rest}`;
      await driving(box, [...exec, script], async (peer) => {
        await peer.prints(/ready\r\n\/dev\/pts\/0\r\n40 120\r\nxterm1\r\n1000\r\n\/tmp\r\n/);
        peer.resize(21, 61);
        await peer.prints(/21 61/);
        peer.type("\x03");
        await peer.prints(/caught/);
        peer.type("\x1c");
        assert.deepEqual(await peer.driven(), { status: 7, restored: true });
      });
      const left = ["exec", "-it", "box", "sh", "-c", "echo ready; exec sleep 600"];
      await driving(box, left, async (peer) => {
        await peer.prints(/ready/);
        peer.type("\x10\x11");
        assert.deepEqual(await peer.driven(), { status: 1, restored: true });
      });
      assert.match(await box.must(["exec", "box", "ps"]), /sleep 600/);
      await box.must(["rm", "-f", "box"]);
    },
  },
  {
    title: "-t without a terminal outside prints what the terminal shows",
    async run({ box, options }) {
      const script = "tty; echo err >&2; exit 3";
      const alone = await box.gantry(["run", "--rm", "-t", ...options, "busybox", "sh", "-c", script]);
      assert.deepEqual([alone.code, alone.stdout, alone.stderr], [3, "/dev/pts/0\r\nerr\r\n", ""]);
      await box.must(["run", "-dit", "--name", "box", ...options, "busybox"]);
      const inExec = await box.gantry(["exec", "-t", "box", "sh", "-c", "tty; exit 6"]);
      assert.deepEqual([inExec.code, inExec.stdout], [6, "/dev/pts/1\r\n"]);
      const many = ["run", "--rm", "-t", ...options, "busybox", "sh", "-c", "yes 0123456789 | head -n 20000"];
      assert.equal((await box.gantry(many)).stdout, "0123456789\r\n".repeat(20_000));
      const missing = await box.gantry(["run", "--rm", "-t", ...options, "busybox", "nosuch"]);
      assert.equal(missing.code, 127, missing.stderr);
      await box.must(["rm", "-f", "box"]);
    },
  },
];
