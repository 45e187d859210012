/**
 * Roots that lie in wait for the maker of a terminal (CVE-2025-52565, CVE-2024-21626), and programs that type into
 * the terminal of who started them (CVE-2017-5226).
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../lib/command.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { Peer, terminalPeer } from "../lib/terminal-peer.ts";
import { attack, type Cell, type Ending, type RawConfig } from "./cell.ts";

interface Attempt extends Ending {
  /** What the caller saw: the line about the master, and what came through it. */
  readonly seen: string;
}

/** Starts `args` on a terminal that a console socket receives. `change` may lay its own traps on top. */
async function withTerminal(
  cell: Cell,
  rootfs: string,
  args: readonly string[],
  change: (config: RawConfig) => void,
): Promise<Attempt> {
  const socket = join(cell.folder(), "console");
  const peer = new Peer(await terminalPeer.build(), ["receive", socket], {
    env: { GANTRY_TEST_DIR: cell.dir },
  });
  try {
    await peer.prints(/^listening$/m);
    const ending = await cell.run(args, {
      rootfs,
      mode: { consoleSocket: socket },
      change: (config) => {
        config.process.terminal = true;
        change(config);
      },
    });
    // whoever was connected to hears of the end, well or ill
    await peer.over;
    return { ...ending, seen: peer.output };
  } finally {
    peer.end();
  }
}

type Mounts = { destination: string; type?: string; source?: string; options?: string[] }[];

/** Takes mounts out, so that what the root file system brings is what the runtime meets. */
function without(config: RawConfig, ...destinations: string[]): void {
  config.mounts = (config.mounts as Mounts).filter(({ destination }) => !destinations.includes(destination));
}

attack("a directory that only looks like a devpts gets no terminal made in it", async (cell) => {
  const outside = cell.folder();
  const traps: Readonly<Record<string, (pts: string) => unknown>> = {
    "a link out of the root": (pts) => symlinkSync(outside, pts),
    "a link to the devpts of the host": (pts) => symlinkSync("/proc/1/root/dev/pts", pts),
    "an empty directory": (pts) => mkdirSync(pts),
    "a plain file": (pts) => {
      mkdirSync(pts);
      writeFileSync(join(pts, "ptmx"), "");
    },
    "a fifo that blocks": async (pts) => {
      mkdirSync(pts);
      await must(["mkfifo", join(pts, "ptmx")]);
    },
    "a device of the right number": async (pts) => {
      mkdirSync(pts);
      await must(["mknod", join(pts, "ptmx"), "c", "5", "2"]);
    },
    "a link to the host's": (pts) => {
      mkdirSync(pts);
      symlinkSync("/dev/ptmx", join(pts, "ptmx"));
    },
  };
  for (const [name, lay] of Object.entries(traps)) {
    const rootfs = cell.rootfs();
    await lay(join(rootfs, "dev/pts"));
    const { error, op, pointer, seen } = await withTerminal(cell, rootfs, ["/bin/true"], (config) =>
      without(config, "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"),
    );
    assert.match(error, /^unable to setup the console: \/dev\/pts(: | is not devpts: )/, name);
    assert.deepEqual([op, pointer], ["open-terminal", "/process/terminal"], name);
    assert.doesNotMatch(seen, /payload/, name);
  }
  assert.deepEqual(readdirSync(outside), []);
});

attack("a mount of the config over the multiplexer of a devpts is not taken for it", async (cell) => {
  for (const source of ["/dev/zero", "/dev/ptmx", "/etc/hostname"]) {
    const { error, op, seen } = await withTerminal(cell, cell.rootfs(), ["/bin/true"], (config) =>
      (config.mounts as Mounts).push({ destination: "/dev/pts/ptmx", source, options: ["bind"] }),
    );
    assert.equal(op, "open-terminal", source);
    assert.match(error, /^unable to setup the console: \/dev\/pts\/ptmx: /, source);
    assert.doesNotMatch(seen, /payload/, source);
  }
});

attack("a link at /dev/console moves the terminal over nothing else", async (cell) => {
  for (const target of [
    "/etc/passwd",
    "pts/ptmx",
    "/proc/sys/kernel/core_pattern",
    "/proc/self/fd/0",
    "nowhere",
  ]) {
    const rootfs = cell.rootfs();
    symlinkSync(target, join(rootfs, "dev/console"));
    const { error, op } = await withTerminal(cell, rootfs, ["/bin/true"], (config) =>
      without(config, "/dev", "/dev/shm", "/dev/mqueue"),
    );
    assert.equal(op, "open-terminal", target);
    assert.match(
      error,
      /^unable to setup the console: \/dev\/console: too many levels of symbolic links$/,
      target,
    );
  }
});

attack("whatever file lies at /dev/console, the terminal covers it and leaves it as it was", async (cell) => {
  const traps: Readonly<Record<string, (path: string) => unknown>> = {
    "a plain file": (path) => writeFileSync(path, "mine"),
    "a fifo": (path) => must(["mkfifo", path]),
    "the console of the host": (path) => must(["mknod", path, "c", "5", "1"]),
    "memory of the host": (path) => must(["mknod", path, "c", "1", "1"]),
    nothing: () => {},
  };
  for (const [name, lay] of Object.entries(traps)) {
    const rootfs = cell.rootfs();
    await lay(join(rootfs, "dev/console"));
    const script = "stat -c 'console %t:%T' /dev/console";
    const { code, seen, error } = await withTerminal(cell, rootfs, ["/bin/sh", "-c", script], (config) =>
      without(config, "/dev", "/dev/shm", "/dev/mqueue"),
    );
    assert.equal(code, 0, `${name}: ${error}`);
    assert.match(seen, /^console 88:0\r$/m, name);
    if (name === "a plain file") assert.equal(readFileSync(join(rootfs, "dev/console"), "utf8"), "mine");
  }
  const rootfs = cell.rootfs();
  mkdirSync(join(rootfs, "dev/console"));
  const { error } = await withTerminal(cell, rootfs, ["/bin/true"], (config) =>
    without(config, "/dev", "/dev/shm", "/dev/mqueue"),
  );
  assert.match(error, /^unable to setup the console: \/dev\/console: is a directory$/);
});

attack("a program has the slave of its terminal and nothing more of it", async (cell) => {
  const { code, seen } = await withTerminal(cell, cell.rootfs(), ["/probe", "descriptors"], () => {});
  assert.equal(code, 0);
  assert.deepEqual(
    seen
      .trim()
      .split(/\r?\n/)
      .slice(2)
      .map((line) => line.split(" ").slice(0, 2).join(" ")),
    ["0 /dev/pts/0", "1 /dev/pts/0", "2 /dev/pts/0"],
  );
});

attack(
  "CVE-2017-5226: a program types nothing into the terminal of who started it",
  async (cell) => {
    const run = async (terminal: boolean) => {
      const rootfs = cell.rootfs();
      copyFileSync(await terminalPeer.build(), join(rootfs, "peer"));
      const id = cell.next();
      const bundle = cell.bundle(id, ["/peer", "inject"], {
        rootfs,
        change: (config) => {
          config.process.terminal = terminal;
        },
      });
      const command = [gantryOciProgram, "--root", cell.folder(), "run", "--bundle", bundle, id];
      const peer = new Peer(await terminalPeer.build(), ["drive", "012", "24", "80", ...command], {
        env: { GANTRY_TEST_DIR: cell.dir },
      });
      try {
        assert.equal((await peer.driven()).status, 0, peer.output);
        return peer.output.split(/\r?\n/).filter((line) => /^!*\d:/.test(line));
      } finally {
        peer.end();
      }
    };
    // the caller's own terminal on its standard streams: another session's, so none to type into
    const refused = (what: string) => [0, 1, 2].map((fd) => `${fd}:${what}`);
    assert.deepEqual(await run(false), [...refused("Operation not permitted"), "3:Bad file descriptor"]);
    // on a terminal of its own a program may do as it likes, as far as the kernel still lets it
    const own = await run(true);
    assert.equal(own.length, 4, own.join("\n"));
    const allowed = readFileSync("/proc/sys/dev/tty/legacy_tiocsti", "utf8").trim() === "1";
    for (const line of own) assert.match(line, allowed ? /:typed$/ : /:Input\/output error$/);
  },
  gantryOciProgram,
);
