/** Containers and execs with a terminal: `run -it`, `attach`, `start -ai`, `exec -it`, from a terminal and from none. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command, ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { gantryProgram, type Sandbox } from "../lib/sandbox.ts";
import { type Peer, terminalPeer } from "../lib/terminal-peer.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";
import { driving, shown } from "./on-terminal.ts";

const skip = needs("root", ...terminalPeer.needs);

const pidOf = async (peer: Peer) => Number((await peer.prints(/^pid=(\d+)/))[1]);
const status = (box: Sandbox, name: string) => box.must(["inspect", "-f", "{{.State.Status}}", name]);
const ready = "trap 'echo caught' INT; trap 'stty size' WINCH; trap 'exit 7' QUIT; echo ready;";
/** Traps are looked at after every command. */
const rest = "while :; do sleep 0.05; done";

test("run -it: the terminal has the size of the one outside, which is raw meanwhile", { skip }, () =>
  withBusybox(async (box) => {
    const script = `${ready} tty; stty size; echo $TERM; ls -l /dev/console | cut -c1; read a; echo "[$a]"; ${rest}`;
    await driving(box, ["run", "-it", "--name", "box", "busybox", "sh", "-c", script], async (peer) => {
      await peer.prints(/ready\r\n\/dev\/pts\/0\r\n40 120\r\nxterm\r\nc\r\n/);
      peer.type("typed\r");
      await peer.prints(/typed\r\n\[typed\]\r\n/);
      peer.resize(20, 60);
      await peer.prints(/20 60\r\n/);
      // a signal for the program, not for its client
      peer.type("\x03");
      await peer.prints(/caught\r\n/);
      peer.type("\x1c");
      assert.deepEqual(await peer.driven(), { status: 7, restored: true });
      assert.ok(!shown(peer).includes("\r\r"), "carriage returns are added once");
    });
    assert.match((await box.gantry(["logs", "box"])).stdout, /^ready\r\n\/dev\/pts\/0\r\n/);
    assert.equal(
      await box.must(["inspect", "-f", "{{.Config.Tty}} {{.Config.OpenStdin}} {{.Config.StdinOnce}}", "box"]),
      "true true true",
    );
    await box.must(["rm", "box"]);
  }),
);

test("the detach keys let go of a container, which runs on and can be attached to again", { skip }, () =>
  withBusybox(async (box) => {
    const script = `${ready} while :; do read line && echo "[$line]"; done`;
    await driving(box, ["run", "-it", "--name", "box", "busybox", "sh", "-c", script], async (peer) => {
      await peer.prints(/ready/);
      // a part of the sequence is for the program, in whatever pieces it comes
      peer.type("a\x10b\r");
      await peer.prints(/\[a\x10b\]/);
      peer.type("\x10");
      peer.type("\x11");
      assert.deepEqual(await peer.driven(), { status: 0, restored: true });
      assert.ok(!peer.errors.includes("escape"), peer.errors);
    });
    assert.equal(await status(box, "box"), "running");
    await driving(box, ["attach", "--detach-keys", "ctrl-x,q", "box"], async (first) => {
      // the size comes anew, so that the program draws its screen again
      await first.prints(/40 120/);
      await driving(box, ["attach", "box"], async (second) => {
        await second.prints(/40 120/);
        second.type("both\r");
        for (const peer of [first, second]) await peer.prints(/\[both\]/);
        second.type("\x10\x11");
        assert.deepEqual(await second.driven(), { status: 1, restored: true });
        assert.match(shown(second), /read escape sequence\r\n$/);
      });
      first.type("\x10\x11\x18q");
      assert.deepEqual(await first.driven(), { status: 1, restored: true });
    });
    assert.equal(await status(box, "box"), "running");
    await box.must(["rm", "-f", "box"]);
  }),
);

test("create -it, start -ai; start -a of what runs attaches to it", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "-it", "--name", "box", "busybox", "sh", "-c", "stty size; read a; exit 4"]);
    await driving(box, ["start", "-ai", "box"], async (peer) => {
      await peer.prints(/40 120/);
      peer.type("\x10\x11");
      assert.deepEqual(await peer.driven(), { status: 0, restored: true });
    });
    await driving(box, ["start", "-ai", "box"], async (peer) => {
      // not before it is attached
      await until("the second client to hold the terminal", async () => {
        const { stdout } = await box.gantry(["events", "--since", "1h", "--until", "0s"]);
        return stdout.split(" attach ").length > 2;
      });
      peer.type("\r");
      assert.deepEqual(await peer.driven(), { status: 4, restored: true });
    });
    await box.must(["rm", "box"]);
  }),
);

test("exec -it: a terminal of its own; the detach keys leave its program running", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    await driving(
      box,
      ["exec", "-it", "-e", "A=1", "box", "sh", "-c", `${ready} stty size; echo $TERM$A; ${rest}`],
      async (peer) => {
        await peer.prints(/ready\r\n40 120\r\nxterm1\r\n/);
        peer.resize(21, 61);
        await peer.prints(/21 61/);
        peer.type("\x03");
        await peer.prints(/caught/);
        peer.type("\x1c");
        assert.deepEqual(await peer.driven(), { status: 7, restored: true });
      },
    );
    await driving(box, ["exec", "-it", "box", "sh", "-c", "echo ready; exec sleep 600"], async (peer) => {
      await peer.prints(/ready/);
      peer.type("\x10\x11");
      assert.deepEqual(await peer.driven(), { status: 1, restored: true });
      assert.match(shown(peer), /read escape sequence\r\n$/);
    });
    assert.match(await box.must(["exec", "box", "ps"]), /sleep 600/);
    await box.must(["rm", "-f", "box"]);
  }),
);

test("whatever ends the client, the terminal is as it was; containers run on, execs do not", { skip }, () =>
  withBusybox(async (box) => {
    const ways = [
      ["SIGTERM", 143],
      ["SIGHUP", 129],
      ["SIGINT", 130],
      ["SIGQUIT", 131],
      ["SIGKILL", 137],
    ] as const;
    for (const [signal, code] of ways) {
      await driving(
        box,
        ["run", "-it", "--name", "box", "busybox", "sh", "-c", "echo ready; exec sleep 600"],
        async (peer) => {
          await peer.prints(/ready/);
          process.kill(await pidOf(peer), signal);
          assert.deepEqual(await peer.driven(), { status: code, restored: true }, signal);
        },
      );
      assert.equal(await status(box, "box"), "running", signal);
      await driving(box, ["exec", "-it", "box", "sh", "-c", "echo ready; exec sleep 700"], async (peer) => {
        await peer.prints(/ready/);
        process.kill(await pidOf(peer), signal);
        assert.deepEqual(await peer.driven(), { status: code, restored: true }, signal);
      });
      await until(
        `the exec to end after ${signal}`,
        async () => !(await box.must(["exec", "box", "ps"])).includes("sleep 700"),
      );
      await box.must(["rm", "-f", "box"]);
    }
  }),
);

test("a terminal outside that hangs up ends the client, not the container", { skip }, () =>
  withBusybox(async (box) => {
    await driving(
      box,
      ["run", "-it", "--name", "box", "busybox", "sh", "-c", "echo ready; exec sleep 600"],
      async (peer) => {
        await peer.prints(/ready/);
        peer.hangUp();
        assert.equal((await peer.driven()).status, 129);
      },
    );
    assert.equal(await status(box, "box"), "running");
    await box.must(["rm", "-f", "box"]);
  }),
);

test("without a terminal outside: -it is refused, -t alone prints what the terminal shows", { skip }, () =>
  withBusybox(async (box) => {
    for (const args of [
      ["run", "--rm", "-it", "busybox"],
      ["run", "--rm", "-ti", "--detach-keys", "ctrl-a", "busybox"],
    ]) {
      const { code, stdout, stderr } = await box.gantry(args);
      assert.deepEqual([code, stdout, stderr], [1, "", "the input device is not a TTY\n"]);
    }
    const shownAlone = await box.gantry([
      "run",
      "--rm",
      "-t",
      "busybox",
      "sh",
      "-c",
      "tty; echo err >&2; exit 3",
    ]);
    assert.deepEqual(
      [shownAlone.code, shownAlone.stdout, shownAlone.stderr],
      [3, "/dev/pts/0\r\nerr\r\n", ""],
    );
    await box.must(["run", "-dit", "--name", "box", "busybox"]);
    assert.equal(
      (await box.gantry(["exec", "-it", "box", "true"])).stderr,
      "the input device is not a TTY\n",
    );
    assert.equal((await box.gantry(["attach", "box"])).stderr, "the input device is not a TTY\n");
    const inExec = await box.gantry(["exec", "-t", "box", "sh", "-c", "tty; exit 6"]);
    assert.deepEqual([inExec.code, inExec.stdout], [6, "/dev/pts/1\r\n"]);
    for (const args of [["attach"], ["exec", "-t"]]) {
      const { code, stderr } = await box.gantry(
        [...args, "--detach-keys", "nope", "box", ...(args.length > 1 ? ["true"] : [])],
        {},
      );
      if (args.length > 1)
        assert.deepEqual([code, stderr], [1, "gantry: Invalid detach keys (nope) provided\n"]);
    }
    await box.must(["rm", "-f", "box"]);
  }),
);

test("a program that dies at once, floods its terminal or ignores it", { skip }, () =>
  withBusybox(async (box) => {
    for (let i = 0; i < 15; i++)
      await driving(box, ["run", "--rm", "-it", "busybox", "echo", "at", "once"], async (peer) => {
        assert.deepEqual(await peer.driven(), { status: 0, restored: true });
        assert.equal(shown(peer), "at once\r\n");
      });
    await driving(
      box,
      ["run", "--rm", "-it", "busybox", "sh", "-c", "yes 0123456789 | head -n 200000"],
      async (peer) => {
        assert.deepEqual(await peer.driven(60_000), { status: 0, restored: true });
        assert.ok(shown(peer) === "0123456789\r\n".repeat(200_000), `${shown(peer).length} characters`);
      },
    );
    await driving(
      box,
      ["run", "-it", "--name", "box", "busybox", "sh", "-c", "stty raw; echo ready; exec sleep 600"],
      async (peer) => {
        await peer.prints(/ready/);
        peer.type("x".repeat(300_000));
        peer.type("\x10\x11");
        assert.deepEqual(await peer.driven(), { status: 0, restored: true });
      },
    );
    assert.equal(await status(box, "box"), "running");
    await box.must(["rm", "-f", "box"]);
  }),
);

test(
  "stdin: closed with its first client where it was attached from the start, else left open",
  { skip },
  () =>
    withBusybox(async (box) => {
      const once = async (name: string) =>
        await box.must(["inspect", "-f", "{{.Config.OpenStdin}} {{.Config.StdinOnce}}", name]);
      await box.must(["create", "-i", "--name", "once", "busybox", "cat"]);
      assert.equal(await once("once"), "true true");
      const fed = await box.gantry(["start", "-ai", "once"], { stdin: "to the end\n" });
      assert.deepEqual([fed.code, fed.stdout], [0, "to the end\n"]);
      // without -i its stdin is not ours to close
      const watching = box.spawn(["start", "-a", "once"]);
      const over = ended(watching);
      await until("the container to run", async () => (await status(box, "once")) === "running");
      const attached = await box.gantry(["attach", "once"], { stdin: "from another\n" });
      assert.deepEqual([attached.code, attached.stdout], [0, "from another\n"]);
      assert.equal(await over, 0);
      await box.must([
        "run",
        "-d",
        "-i",
        "--name",
        "kept",
        "busybox",
        "sh",
        "-c",
        'while read l; do echo "[$l]"; done; echo over',
      ]);
      assert.equal(await once("kept"), "true false");
      for (const word of ["one", "two"]) {
        const child = box.spawn(["attach", "kept"]);
        let printed = "";
        child.stdout!.on("data", (bytes: Buffer) => {
          printed += String(bytes);
        });
        const left = ended(child);
        child.stdin!.end(`${word}\n`);
        await until("the answer", () => printed === `[${word}]\n`);
        child.kill("SIGKILL");
        await left;
      }
      assert.equal(await status(box, "kept"), "running");
      await box.must(["rm", "-f", "kept", "once"]);
    }),
);

test("attach hands signals on, and with --sig-proxy=false keeps them", { skip }, () =>
  withBusybox(async (box) => {
    const script = "trap 'echo got it; exit 5' TERM; while :; do echo tick; sleep 0.05; done";
    await box.must(["run", "-d", "--name", "box", "busybox", "sh", "-c", script]);
    for (const [options, code, after] of [
      [["--sig-proxy=false"], 143, "running"],
      [["--no-stdin"], 5, "exited"],
    ] as const) {
      const child = box.spawn(["attach", ...options, "box"]);
      const over = ended(child);
      let printed = "";
      child.stdout!.on("data", (bytes: Buffer) => {
        printed += String(bytes);
      });
      await until("the output", () => printed.includes("tick"));
      child.kill("SIGTERM");
      assert.equal(await over, code);
      assert.equal(await status(box, "box"), after);
    }
    const stopped = await box.gantry(["attach", "box"]);
    assert.deepEqual(
      [stopped.code, stopped.stderr],
      [1, "gantry: cannot attach to a stopped container, start it first\n"],
    );
    await box.must(["start", "box"]);
    await box.must(["pause", "box"]);
    assert.match(
      (await box.gantry(["attach", "box"])).stderr,
      /cannot attach to a paused container, unpause it first/,
    );
    await box.must(["unpause", "box"]);
    await box.must(["rm", "-f", "box"]);
  }),
);

test("a slow reader of gigabytes costs neither client nor shim memory", { skip, timeout: 300_000 }, () =>
  withBusybox(async (box) => {
    const peak = (pid: number) =>
      Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
    const total = 300_000_000;
    const child = box.spawn([
      "run",
      "--log-driver",
      "none",
      "--name",
      "box",
      "busybox",
      "sh",
      "-c",
      `yes 0123456789abcdef | head -c ${total}`,
    ]);
    const over = ended(child);
    let bytes = 0;
    let early = 0;
    let late = 0;
    let shim = 0;
    for await (const chunk of child.stdout!) {
      bytes += (chunk as Buffer).length;
      if (early === 0 && bytes > 50_000_000) {
        early = peak(child.pid!);
        const id = await box.must(["inspect", "-f", "{{.Id}}", "box"]);
        shim = JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8")).shim;
        // nobody reads for a while: the container waits, and other clients are served
        const rest = await command([
          gantryProgram,
          "--root",
          box.root,
          "--state",
          box.state,
          "exec",
          "box",
          "echo",
          "fine",
        ]);
        assert.equal(rest.stdout, "fine\n");
        assert.ok(peak(shim) < 2000, `the shim has ${peak(shim)} KiB`);
      }
      if (bytes > 250_000_000 && late === 0) {
        late = peak(child.pid!);
        assert.ok(peak(shim) < 2000, `the shim has ${peak(shim)} KiB`);
      }
    }
    assert.equal(await over, 0);
    assert.equal(bytes, total);
    assert.ok(late < early + 80_000, `from ${early} to ${late} KiB`);
    await box.must(["rm", "box"]);
  }),
);
