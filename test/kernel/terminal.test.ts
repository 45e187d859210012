/** `process.terminal`: where the terminal comes from, who gets its master, and what works on it. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { Peer, terminalPeer } from "../lib/terminal-peer.ts";
import { until } from "../lib/until.ts";
import { type Bundle, containerId, type Json, type Runtime, unready, withBundle } from "./bundle.ts";

const both = ["gantry-oci", "runc"] as const;
const skip = unready || needs(...terminalPeer.needs);

const terminal: Json = { process: { terminal: true, consoleSize: { height: 33, width: 101 } } };

/** A bundle whose program has a terminal, and the receiver of its master, not yet started. */
async function withConsole(
  name: Runtime["name"],
  script: string,
  patch: Json,
  body: (runtime: Runtime, bundle: Bundle, socket: string, listen: () => Promise<Peer>) => Promise<void>,
): Promise<void> {
  const program = await terminalPeer.build();
  await withBundle(name, script, patch, async (runtime, bundle) => {
    const socket = join(bundle.files, "console.sock");
    let peer: Peer | undefined;
    try {
      await body(runtime, bundle, socket, async () => {
        peer = new Peer(program, ["receive", socket]);
        await peer.prints(/^listening$/m);
        return peer;
      });
    } finally {
      peer?.end();
    }
  });
}

async function start(runtime: Runtime, bundle: Bundle, socket: string): Promise<string> {
  const id = containerId();
  const args = ["run", "--detach", "--bundle", bundle.path, "--console-socket", socket, id];
  const { code, stderr } = await runtime.call(args);
  assert.equal(code, 0, stderr);
  return id;
}

for (const name of both) {
  test(`${name}: the console socket gets the master of a terminal in the container's own devpts`, {
    skip,
  }, async () => {
    const script = [
      "tty; tty <&1; tty <&2",
      "stat -c '%u:%g %a %t:%T' /dev/pts/0 /dev/console",
      "ls -1 /dev/pts; readlink /dev/ptmx",
      "cut -d' ' -f6,7,8 /proc/self/stat",
      "echo over",
    ].join("; ");
    const patch = { process: { ...(terminal.process as Json), user: { uid: 1000, gid: 1000 } } };
    await withConsole(name, script, patch, async (runtime, bundle, socket, listen) => {
      const peer = await listen();
      await start(runtime, bundle, socket);
      await peer.prints(/over\r\n/);
      const [, first, ...lines] = peer.output.split(/\r?\n/);
      assert.equal(first, "payload=/dev/ptmx number=0 rows=33 columns=101 onlcr=1");
      const own = "1000:5 620 88:0";
      assert.deepEqual(lines.slice(0, 7), [...Array(3).fill("/dev/pts/0"), own, own, "0", "ptmx"]);
      assert.equal(lines[7], "pts/ptmx");
      // session 1, terminal 136:0, and the job of the session is in its foreground
      assert.equal(lines[8], `1 ${(136 << 8) | 0} 1`);
      assert.equal(await peer.over, 0);
    });
  });

  test(`${name}: ^C, a new size and the hangup of a terminal reach the program`, { skip }, () =>
    withConsole(
      name,
      "trap 'echo caught' INT; trap 'stty size' WINCH; trap 'echo hung up > /out; exit' HUP; echo ready; cat; cat; while :; do read line || sleep 0.1; done",
      terminal,
      async (runtime, bundle, socket, listen) => {
        const peer = await listen();
        await start(runtime, bundle, socket);
        await peer.prints(/ready\r\n/);
        // only once the first cat has it is it sure to be a job that ^C ends
        peer.type("hello\n");
        await peer.prints(/hello\r\nhello\r\n/);
        peer.type("\x03");
        await peer.prints(/\^C.*caught\r\n/s);
        peer.type("again\n");
        await peer.prints(/again\r\nagain\r\n/);
        peer.resize(50, 132);
        // the shell does what it traps once its job has ended
        peer.type("\x04");
        await peer.prints(/^50 132\r$/m);
        peer.hangUp();
        await peer.over;
        const out = join(bundle.rootfs, "out");
        await until(
          "the program to notice the hangup",
          () => existsSync(out) && readFileSync(out, "utf8") === "hung up\n",
        );
      },
    ),
  );

  test(`${name}: the size of a terminal changes under the program`, { skip }, () =>
    withConsole(
      name,
      // a shell looks at its traps behind every command, but not once it is about to read
      "trap 'stty size' WINCH; stty size; while :; do sleep 0.1; done",
      terminal,
      async (runtime, bundle, socket, listen) => {
        const peer = await listen();
        await start(runtime, bundle, socket);
        await peer.prints(/^33 101\r$/m);
        peer.resize(50, 132);
        await peer.prints(/^50 132\r$/m);
      },
    ),
  );

  test(`${name}: jobs of a shell are stopped and continued at its terminal`, { skip }, () =>
    withConsole(
      name,
      "set -m; cat; jobs; fg; echo done",
      terminal,
      async (runtime, bundle, socket, listen) => {
        const peer = await listen();
        await start(runtime, bundle, socket);
        peer.type("hello\n");
        await peer.prints(/hello\r\nhello\r\n/);
        peer.type("\x1a");
        // fg names the job that it continues: until then the shell's own words could come between echo and answer
        await peer.prints(/Stopped.*\ncat\r\n/s);
        peer.type("more\n");
        await peer.prints(/more\r\nmore\r\n/);
        peer.type("\x04");
        await peer.prints(/done/);
      },
    ),
  );

  test(`${name}: create hands the terminal over before the program starts`, { skip }, () =>
    withConsole(name, "stty size; read line", terminal, async (runtime, bundle, socket, listen) => {
      const peer = await listen();
      const id = containerId();
      const args = ["create", "--bundle", bundle.path, "--console-socket", socket, id];
      assert.equal((await runtime.call(args)).code, 0);
      await peer.prints(/payload=.* rows=33 columns=101/);
      assert.doesNotMatch(peer.output, /^33 101/m);
      assert.equal((await runtime.call(["start", id])).code, 0);
      await peer.prints(/^33 101\r$/m);
    }),
  );

  test(`${name}: consoles are refused where nobody could use them, in the words that callers know`, {
    skip,
  }, async () => {
    const refusal = async (patch: Json, ...args: string[]) => {
      let text = "";
      await withConsole(name, "true", patch, async (runtime, bundle, socket) => {
        const given = args.map((arg) => (arg === "SOCKET" ? socket : arg));
        const { code, stderr } = await runtime.call([...given, "--bundle", bundle.path, containerId()]);
        assert.equal(code, 1, stderr);
        text = stderr.replaceAll(socket, "SOCKET");
      });
      return text;
    };
    const needed = /cannot allocate tty if runc will detach without setting console socket/;
    const unwanted = /cannot use console socket if runc will not detach or allocate tty/;
    assert.match(await refusal(terminal, "run", "--detach"), needed);
    assert.match(await refusal(terminal, "create"), needed);
    assert.match(await refusal(terminal, "run", "--console-socket", "SOCKET"), unwanted);
    assert.match(await refusal({}, "run", "--detach", "--console-socket", "SOCKET"), unwanted);
    assert.match(
      await refusal(terminal, "create", "--console-socket", "SOCKET"),
      /dial unix SOCKET: connect: no such file or directory/,
    );
  });

  test(`${name}: consoleSize means nothing without a terminal`, { skip }, () =>
    withBundle(
      name,
      "tty; test -e /dev/console || echo none",
      { process: { consoleSize: { height: 1, width: 1 } } },
      async (runtime, bundle) => {
        const { stdout } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
        assert.equal(stdout, "not a tty\nnone\n");
      },
    ),
  );
}

test("a console socket may lie deeper than a socket address can say", { skip }, () =>
  withConsole("gantry-oci", "echo hello", terminal, async (runtime, bundle) => {
    const deep = join(bundle.files, "d".repeat(100), "e".repeat(100));
    mkdirSync(deep, { recursive: true });
    const socket = join(deep, "console.sock");
    const peer = new Peer(await terminalPeer.build(), ["receive", socket]);
    try {
      await peer.prints(/^listening$/m);
      await start(runtime, bundle, socket);
      await peer.prints(/hello/);
    } finally {
      peer.end();
    }
  }),
);

test("a terminal works in a user namespace, owned by the user of its program", { skip }, () => {
  const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const patch = {
    process: { ...(terminal.process as Json), user: { uid: 7, gid: 7 } },
    linux: {
      namespaces: ["pid", "network", "ipc", "uts", "mount", "user"].map((type) => ({ type })),
      uidMappings: ids,
      gidMappings: ids,
    },
  };
  return withConsole(
    "gantry-oci",
    "tty; stat -c %u:%g /dev/console; echo hi > /dev/tty",
    patch,
    async (runtime, bundle, socket, listen) => {
      const peer = await listen();
      await start(runtime, bundle, socket);
      await peer.prints(/\/dev\/pts\/0\r\n7:5\r\nhi/);
    },
  );
});

test("who fails to take the terminal undoes the container", { skip }, () =>
  withConsole("gantry-oci", "true", terminal, async (runtime, bundle, socket, listen) => {
    const peer = await listen();
    const id = containerId();
    const args = ["create", "--bundle", bundle.path, "--console-socket", socket];
    // the program is missing, which is found out after the terminal is given away
    const { config } = bundle;
    const broken = { ...config, process: { ...(config.process as Json), args: ["nowhere"] } };
    writeFileSync(join(bundle.path, "config.json"), JSON.stringify(broken));
    const { code, stderr } = await runtime.call([...args, id]);
    assert.equal(code, 1);
    assert.match(stderr, /executable file not found in \$PATH/);
    assert.equal(await peer.over, 0, "the terminal hangs up");
    assert.equal((await runtime.call(["state", id])).code, 1);
    assert.ok(!existsSync(join(runtime.root, id)));
  }),
);

for (const name of both)
  test(
    `${name}: conmon, which starts containers for podman and CRI-O, logs what comes from a terminal`,
    {
      skip: skip || needs("conmon"),
    },
    () =>
      withBundle(name, "tty; echo hello; exit 6", terminal, async (runtime, bundle) => {
        const id = containerId();
        const [log, exits, pidFile] = ["log", "exits", "pid"].map((file) => join(bundle.files, file));
        mkdirSync(exits!);
        const conmon = [
          ...["conmon", "--terminal", "--cid", id, "--cuuid", id, "--name", id, "--bundle", bundle.path],
          ...["--runtime", runtime.program, "--runtime-arg", `--root=${runtime.root}`],
          ...["--container-pidfile", pidFile!, "--log-path", `k8s-file:${log}`, "--exit-dir", exits!],
          ...["--socket-dir-path", bundle.files, "--persist-dir", bundle.files],
        ];
        const { code, stderr } = await command(conmon);
        assert.equal(code, 0, stderr);
        await until("conmon to create the container", () => existsSync(pidFile!));
        assert.equal((await runtime.call(["start", id])).code, 0);
        const exit = join(exits!, id);
        await until("conmon to see the end", () => existsSync(exit) && readFileSync(exit, "utf8") === "6");
        assert.match(readFileSync(log!, "utf8"), /stdout F \/dev\/pts\/0\r?\n.* stdout F hello\r?\n/);
        assert.equal((await runtime.call(["delete", id])).code, 0);
      }),
  );
